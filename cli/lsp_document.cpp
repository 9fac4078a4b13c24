#include "cli/lsp_document.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "frontend/parse.h"
#include "frontend/utf8.h"

namespace netc {
namespace {

// The syntax tree of the library. It is the first file of every check, as of this map, so its places
// hold in both.
const std::shared_ptr<const ast::File>& library() {
    static const std::shared_ptr<const ast::File> tree = parse_library();
    return tree;
}

// UTF-16 units of a character of so many bytes.
std::uint32_t units_of(std::size_t bytes) { return bytes == 4 ? 2 : 1; }

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::shared_ptr<const Analysis> analyse(const std::string& path, const std::string& text) {
    auto made = std::make_shared<Analysis>();
    made->text = text;
    CheckOptions options;
    options.open_dimensions = true;
    options.types = &made->types;
    options.library = library();
    (void)check_text(path, text, options, made->sources, made->diagnostics);
    std::vector<ParsedFile> imported;
    ParsedFile main;
    for (std::uint32_t file = 1; file < made->sources.size(); ++file) {
        Diagnostics none;
        ParsedFile parsed = parse(made->sources, file, none);
        if (made->main == kNoFile && made->sources.path(file) == path) {
            made->main = file;
            main = std::move(parsed);
        } else {
            imported.push_back(std::move(parsed));
        }
    }
    if (made->main == kNoFile) return made;
    made->parsed = main.ok;
    std::vector<const ast::File*> files;
    for (const ParsedFile& file : imported) files.push_back(&file.file);
    made->names = index_names(made->sources, main.file, files, library().get());
    return made;
}

void update(Document& document) {
    if (!document.changed) return;
    document.now = analyse(document.path, document.text);
    if (document.now->parsed || document.whole == nullptr) document.whole = document.now;
    document.changed = false;
}

std::string path_of_uri(const std::string& uri) {
    static constexpr std::string_view kScheme = "file://";
    if (!uri.starts_with(kScheme)) return uri;
    std::string path;
    for (std::size_t i = std::min(uri.find('/', kScheme.size()), uri.size()); i < uri.size(); ++i) {
        const bool escape = uri[i] == '%' && i + 2 < uri.size() && hex_digit(uri[i + 1]) >= 0 &&
                            hex_digit(uri[i + 2]) >= 0;
        if (escape) {
            path += static_cast<char>(hex_digit(uri[i + 1]) * 16 + hex_digit(uri[i + 2]));
            i += 2;
        } else {
            path += uri[i];
        }
    }
    return path;
}

std::string uri_of_path(const std::string& path) {
    if (path.find("://") != std::string::npos) return path;
    std::error_code error;
    const std::filesystem::path whole = std::filesystem::absolute(path, error);
    std::string uri = "file://";
    for (const char c : error ? path : whole.string()) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain =
            std::isalnum(byte) != 0 || std::string_view("/-_.~").find(c) != std::string_view::npos;
        uri += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
    }
    return uri;
}

Json position_json(std::string_view text, std::uint32_t offset) {
    const std::size_t end = std::min<std::size_t>(offset, text.size());
    const auto line = std::ranges::count(text.substr(0, end), '\n');
    const std::size_t before = text.rfind('\n', end == 0 ? 0 : end - 1);
    std::size_t at = line == 0 || before == std::string_view::npos ? 0 : before + 1;
    std::uint32_t units = 0;
    while (at < end) {
        const std::size_t length = std::max<std::size_t>(utf8_length(text, at), 1);
        units += units_of(length);
        at += length;
    }
    return {{"line", line}, {"character", units}};
}

Json range_json(std::string_view text, std::uint32_t begin, std::uint32_t end) {
    return {{"start", position_json(text, begin)}, {"end", position_json(text, end)}};
}

Json range_json(const SourceMap& sources, Span span) {
    return range_json(sources.text(span.file), span.begin, span.end);
}

std::uint32_t offset_of(std::string_view text, const Json& position) {
    auto line = position.at("line").get<std::int64_t>();
    auto units = position.at("character").get<std::int64_t>();
    std::size_t at = 0;
    for (; line > 0; --line) {
        const std::size_t end = text.find('\n', at);
        if (end == std::string_view::npos) return static_cast<std::uint32_t>(text.size());
        at = end + 1;
    }
    while (units > 0 && at < text.size() && text[at] != '\n' && text[at] != '\r') {
        const std::size_t length = std::max<std::size_t>(utf8_length(text, at), 1);
        units -= units_of(length);
        at += length;
    }
    return static_cast<std::uint32_t>(at);
}

}  // namespace netc
