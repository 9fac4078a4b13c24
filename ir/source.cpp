// Spans to lines and columns. A file's line starts are found once, when it is added.
#include "ir/source.h"

#include <algorithm>
#include <utility>

namespace netc {
namespace {

// Counts code points: every byte but the continuation bytes 10xxxxxx.
std::uint32_t count_code_points(std::string_view text) {
    const auto count = std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
    });
    return static_cast<std::uint32_t>(count);
}

}  // namespace

Span cover(Span first, Span second) {
    if (!first.known()) return second;
    if (!second.known() || second.file != first.file) return first;
    return {first.file, std::min(first.begin, second.begin), std::max(first.end, second.end)};
}

std::uint32_t SourceMap::add(std::string path, std::string text) {
    if (text.size() >= kNoFile) text.resize(kNoFile - 1);
    std::vector<std::uint32_t> starts{0};
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n') starts.push_back(static_cast<std::uint32_t>(i + 1));
    }
    files_.push_back({std::move(path), std::move(text), std::move(starts)});
    return static_cast<std::uint32_t>(files_.size() - 1);
}

std::string_view SourceMap::text(Span span) const {
    if (!span.known()) return {};
    const std::string_view all = text(span.file);
    const std::size_t begin = std::min<std::size_t>(span.begin, all.size());
    const std::size_t end = std::clamp<std::size_t>(span.end, begin, all.size());
    return all.substr(begin, end - begin);
}

Position SourceMap::position(std::uint32_t file, std::uint32_t offset) const {
    const File& entry = files_[file];
    offset = std::min(offset, static_cast<std::uint32_t>(entry.text.size()));
    const auto after = std::upper_bound(entry.line_starts.begin(), entry.line_starts.end(), offset);
    const auto line = static_cast<std::uint32_t>(after - entry.line_starts.begin());
    const std::uint32_t start = entry.line_starts[line - 1];
    return {line, count_code_points(text({file, start, offset})) + 1};
}

std::uint32_t SourceMap::line_count(std::uint32_t file) const {
    return static_cast<std::uint32_t>(files_[file].line_starts.size());
}

std::uint32_t SourceMap::line_begin(std::uint32_t file, std::uint32_t line) const {
    return files_[file].line_starts[line - 1];
}

std::string_view SourceMap::line_text(std::uint32_t file, std::uint32_t line) const {
    const File& entry = files_[file];
    const std::size_t begin = entry.line_starts[line - 1];
    std::size_t end =
        line < entry.line_starts.size() ? entry.line_starts[line] - 1 : entry.text.size();
    if (end > begin && entry.text[end - 1] == '\r') --end;
    return std::string_view(entry.text).substr(begin, end - begin);
}

std::string SourceMap::describe(Span span) const {
    if (!span.known()) return {};
    const Position place = begin(span);
    return std::string(path(span.file)) + ":" + std::to_string(place.line) + ":" +
           std::to_string(place.column);
}

}  // namespace netc
