// Renaming in the language server: only what this document declares, and only to a name that is free
// wherever it would stand.
#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "cli/lsp_features.h"
#include "cli/lsp_words.h"

namespace netc {
namespace {

Result<const Occurrence*> renamed(const Document& document, std::uint32_t offset) {
    const auto refuse = [](std::string message) {
        return Error{kExitProgram, std::move(message), {}, {}};
    };
    const Analysis& analysis = *document.now;
    if (!analysis.parsed) return refuse("the file has syntax errors");
    const Occurrence* found = analysis.names.at(analysis.main, offset);
    if (found == nullptr) return refuse("no name of the program stands here");
    const NamedThing& thing = analysis.names.things[found->thing];
    if (thing.place.file != analysis.main) {
        return refuse(fmt::format("`{}` is declared in another file", thing.name));
    }
    if (thing.kind == NameKind::metric) {
        return refuse(fmt::format("the metric `{}` is also named in texts such as \"valid.{}\"",
                                  thing.name, thing.name));
    }
    return found;
}

bool overlaps(Span a, Span b) { return a.file == b.file && a.begin < b.end && b.begin < a.end; }

}  // namespace

Result<Json> lsp_prepare_rename(const Document& document, std::uint32_t offset) {
    Result<const Occurrence*> found = renamed(document, offset);
    if (!found) return found.error();
    return range_json(document.now->sources, (*found)->place);
}

Result<Json> lsp_rename(const Document& document, std::uint32_t offset, const std::string& name) {
    Result<const Occurrence*> found = renamed(document, offset);
    if (!found) return found.error();
    const Analysis& analysis = *document.now;
    const NamedThing& thing = analysis.names.things[(*found)->thing];
    const auto refuse = [](std::string message) {
        return Error{kExitProgram, std::move(message), {}, {}};
    };
    if (!is_identifier(name)) return refuse(fmt::format("`{}` is no name", name));
    for (const NamedThing& other : analysis.names.things) {
        if (other.name != name || &other == &thing) continue;
        // Names of the library may be shadowed, but then their uses in this file would change.
        const bool global = other.visible.file != analysis.main;
        if (!global && !overlaps(other.visible, thing.visible)) continue;
        const bool callable = other.kind != NameKind::formal && other.kind != NameKind::input;
        if (global && !callable) continue;
        return refuse(fmt::format("`{}` is the name of a {} already", name, spelling(other.kind)));
    }
    Json edits = Json::array();
    Span last;
    for (const Occurrence& occurrence : analysis.names.occurrences) {
        if (occurrence.thing != (*found)->thing || occurrence.place == last) continue;
        last = occurrence.place;
        edits.push_back(
            {{"range", range_json(analysis.sources, occurrence.place)}, {"newText", name}});
    }
    Json changes = Json::object();
    changes[document.uri] = std::move(edits);
    return Json{{"changes", std::move(changes)}};
}

}  // namespace netc
