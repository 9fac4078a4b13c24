#include "frontend/reference.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/name_index.h"
#include "frontend/parse.h"

namespace netc {
namespace {

// The name that an item declares; empty where it declares none.
std::string_view name_of(const ast::Item& item) {
    if (const auto* made = std::get_if<ast::Callable>(&item.kind)) return made->name.text;
    if (const auto* made = std::get_if<ast::Const>(&item.kind)) return made->name.text;
    if (const auto* made = std::get_if<ast::Option>(&item.kind)) return made->name.text;
    if (const auto* made = std::get_if<ast::Train>(&item.kind))
        return made->name ? made->name->text : made->model.text;
    return {};
}

std::string entry(std::string_view name, std::string_view signature, std::string_view doc) {
    std::string text = fmt::format("### {}\n\n```net\n{}\n```\n", name, signature);
    if (!doc.empty()) text += fmt::format("\n{}\n", doc);
    return text;
}

std::string entry(const SourceMap& sources, const ast::Item& item) {
    const auto* train = std::get_if<ast::Train>(&item.kind);
    const auto* option = std::get_if<ast::Option>(&item.kind);
    std::string doc = item.doc;
    if (option != nullptr && doc.empty()) doc = option->help;
    if (train != nullptr)
        return entry(name_of(item), fmt::format("train {}", train->model.text), doc);
    return entry(name_of(item), signature_of(sources, item), doc);
}

// The words of a line `# ---- words`.
std::string_view heading_of(const Comment& comment) {
    static constexpr std::string_view kMark = "# ---- ";
    return comment.text.starts_with(kMark) ? comment.text.substr(kMark.size()) : std::string_view();
}

}  // namespace

std::optional<std::string> file_reference(const SourceMap& sources, std::uint32_t file,
                                          std::string_view title, Diagnostics& diagnostics) {
    SyntaxText written;
    const ParsedFile parsed = parse(sources, file, diagnostics, &written);
    if (!parsed.ok) return std::nullopt;
    std::string text = fmt::format("# {}\n", title);
    auto comment = written.comments.begin();
    std::string_view heading;
    for (const ast::Item& item : parsed.file.items) {
        const std::string_view name = name_of(item);
        for (; comment != written.comments.end() && comment->span.begin < item.span.begin;
             ++comment)
            if (!heading_of(*comment).empty()) heading = heading_of(*comment);
        if (name.empty() || name.starts_with('_')) continue;
        if (!heading.empty()) text += fmt::format("\n## {}\n", heading);
        heading = {};
        text += "\n" + entry(sources, item);
    }
    return text;
}

std::optional<std::string> file_entry(const SourceMap& sources, std::uint32_t file,
                                      std::string_view name) {
    Diagnostics none;
    const ParsedFile parsed = parse(sources, file, none);
    for (const ast::Item& item : parsed.file.items) {
        if (name_of(item) == name) return entry(sources, item);
    }
    return std::nullopt;
}

std::string builtin_reference() {
    std::vector<const frontend::Builtin*> sorted;
    for (const frontend::Builtin& builtin : frontend::all_builtins()) sorted.push_back(&builtin);
    std::ranges::sort(sorted, {}, &frontend::Builtin::name);
    std::string text = "## Functions of the compiler\n";
    for (const frontend::Builtin* builtin : sorted)
        text += "\n" + entry(builtin->name, builtin_signature(*builtin), builtin->doc);
    return text;
}

std::optional<std::string> builtin_entry(std::string_view name) {
    const frontend::Builtin* builtin = frontend::find_builtin(name);
    if (builtin == nullptr) return std::nullopt;
    return entry(builtin->name, builtin_signature(*builtin), builtin->doc);
}

}  // namespace netc
