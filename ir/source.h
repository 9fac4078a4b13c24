// Where text came from: spans into source files, and the map that turns them into lines and
// columns.
//
// A span is twelve bytes, so everything that a user can be told about carries one: AST nodes, graph
// nodes, kernels. The text itself stays in the SourceMap, which lives as long as the compilation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

inline constexpr std::uint32_t kNoFile = 0xffff'ffffu;

// The bytes [begin, end) of a file. A default span belongs to no file: "no place is known".
struct Span {
    std::uint32_t file = kNoFile;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;

    bool known() const { return file != kNoFile; }
    bool operator==(const Span&) const = default;
};

// The smallest span that covers both; when one is unknown, the other.
Span cover(Span first, Span second);

// One-based; columns count code points, as editors and people do.
struct Position {
    std::uint32_t line = 1;
    std::uint32_t column = 1;

    bool operator==(const Position&) const = default;
};

class SourceMap {
public:
    // Takes a file's text and gives its number. `path` is what messages show. Texts of 4 GiB and
    // more are cut; parse refuses files long before that.
    std::uint32_t add(std::string path, std::string text);

    std::size_t size() const { return files_.size(); }
    std::string_view path(std::uint32_t file) const { return files_[file].path; }
    std::string_view text(std::uint32_t file) const { return files_[file].text; }
    std::string_view text(Span span) const;

    Position position(std::uint32_t file, std::uint32_t offset) const;
    Position begin(Span span) const { return position(span.file, span.begin); }
    Position end(Span span) const { return position(span.file, span.end); }

    std::uint32_t line_count(std::uint32_t file) const;
    // A line (counted from one) without its line break, and the offset of its first byte.
    std::string_view line_text(std::uint32_t file, std::uint32_t line) const;
    std::uint32_t line_begin(std::uint32_t file, std::uint32_t line) const;

    // "lenet5.net:4:12", or "" for an unknown span.
    std::string describe(Span span) const;

private:
    struct File {
        std::string path;
        std::string text;
        std::vector<std::uint32_t> line_starts;
    };
    std::deque<File> files_;  // a deque: views of a text stay valid while files are added
};

}  // namespace netc
