// A file that an editor holds open: its text, and what the compiler knows of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "frontend/frontend.h"
#include "frontend/name_index.h"

namespace netc {

using Json = nlohmann::json;

// Everything that comes from one state of a text.
struct Analysis {
    std::string text;
    SourceMap sources;
    Diagnostics diagnostics;
    ExpressionTypes types;
    NameIndex names;
    std::uint32_t main = kNoFile;
    bool parsed = false;  // without a syntax error
};

struct Document {
    std::string uri;
    std::string path;
    std::string text;
    std::int64_t version = 0;
    bool changed = true;                    // since the last analysis
    std::shared_ptr<const Analysis> now;    // of the text as it was analysed last
    std::shared_ptr<const Analysis> whole;  // the last one that had no syntax error
};

std::shared_ptr<const Analysis> analyse(const std::string& path, const std::string& text);
void update(Document& document);

// "file:///a%20b.net" and "/a b.net"; other addresses stay as they are.
std::string path_of_uri(const std::string& uri);
std::string uri_of_path(const std::string& path);

// Positions of the protocol count lines from 0 and UTF-16 units.
Json position_json(std::string_view text, std::uint32_t offset);
Json range_json(std::string_view text, std::uint32_t begin, std::uint32_t end);
Json range_json(const SourceMap& sources, Span span);
// A position beyond its line is the end of that line, a line beyond the text its end.
std::uint32_t offset_of(std::string_view text, const Json& position);

}  // namespace netc
