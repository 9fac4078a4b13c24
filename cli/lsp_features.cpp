#include "cli/lsp_features.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/format.h"

namespace netc {
namespace {

// The newest analysis that knows names: while a text is being typed it may be one of a moment ago,
// whose places hold where the text there has not changed.
const Occurrence* occurrence_at(const Document& document, std::uint32_t offset,
                                const Analysis*& analysis) {
    for (const auto& candidate : {document.now, document.whole}) {
        if (candidate == nullptr) continue;
        const Occurrence* found = candidate->names.at(candidate->main, offset);
        if (found == nullptr) continue;
        const std::string& name = candidate->names.things[found->thing].name;
        if (!std::string_view(document.text)
                 .substr(std::min<std::size_t>(found->place.begin, document.text.size()))
                 .starts_with(name))
            continue;
        analysis = candidate.get();
        return found;
    }
    return nullptr;
}

// The smallest expression around an offset whose type is known.
const ExpressionTypes::Type* type_around(const Analysis& analysis, std::uint32_t offset,
                                         Span& place) {
    const ExpressionTypes::Type* best = nullptr;
    for (const auto& [key, type] : analysis.types.all) {
        const auto file = static_cast<std::uint32_t>(key.first >> 32u);
        const auto begin = static_cast<std::uint32_t>(key.first);
        if (file != analysis.main || begin > offset || key.second < offset) continue;
        if (best != nullptr && key.second - begin >= place.end - place.begin) continue;
        place = {file, begin, key.second};
        best = &type;
    }
    return best;
}

// What a name stands for here: its own value, or what flows out of the stage that it begins.
std::string value_of(const Analysis& analysis, Span name) {
    if (const auto* type = analysis.types.find(name)) {
        return type->tensor ? ": " + type->text : " = " + type->text;
    }
    for (const Span stage : analysis.names.stages) {
        if (stage.begin != name.begin) continue;
        if (const auto* type = analysis.types.find(stage)) return " gives " + type->text;
    }
    Span place;
    const ExpressionTypes::Type* type = type_around(analysis, name.begin, place);
    if (type != nullptr && place.begin == name.begin && type->tensor) return " gives " + type->text;
    return "";
}

Json symbol_kind(NameKind kind) {
    switch (kind) {
        case NameKind::model: return 5;   // class
        case NameKind::layer: return 23;  // struct
        case NameKind::function:
        case NameKind::builtin: return 12;  // function
        case NameKind::constant:
        case NameKind::dimension: return 14;  // constant
        case NameKind::option: return 7;      // property
        case NameKind::alias:
        case NameKind::section: return 2;  // module
        case NameKind::parameter:
        case NameKind::state: return 8;  // field
        case NameKind::formal:
        case NameKind::input:
        case NameKind::output:
        case NameKind::target:
        case NameKind::metric:
        case NameKind::local: return 13;  // variable
    }
    return 13;
}

}  // namespace

Json lsp_diagnostics(const Document& document) {
    Json all = Json::array();
    const Analysis& analysis = *document.now;
    for (const Diagnostic& diagnostic : analysis.diagnostics.all()) {
        std::string message = diagnostic.message;
        if (!diagnostic.primary.text.empty()) message += ": " + diagnostic.primary.text;
        for (const Note& note : diagnostic.notes) message += "\nnote: " + note.text;
        for (const std::string& help : diagnostic.helps) message += "\nhelp: " + help;
        const bool here = diagnostic.primary.span.file == analysis.main;
        if (!here && diagnostic.primary.span.known()) {
            message = analysis.sources.describe(diagnostic.primary.span) + ": " + message;
        }
        Json object{{"severity", diagnostic.severity == Severity::error ? 1 : 2},
                    {"code", info(diagnostic.code).code},
                    {"source", "netc"},
                    {"message", message}};
        object["range"] = here ? range_json(analysis.sources, diagnostic.primary.span)
                               : range_json(analysis.text, 0, 0);
        Json related = Json::array();
        for (const Label& label : diagnostic.labels) {
            if (!label.span.known() || label.text.empty()) continue;
            const bool library = label.span.file == 0;
            if (library) continue;  // its file has no address
            const std::string uri =
                label.span.file == analysis.main
                    ? document.uri
                    : uri_of_path(std::string(analysis.sources.path(label.span.file)));
            related.push_back(
                {{"location", {{"uri", uri}, {"range", range_json(analysis.sources, label.span)}}},
                 {"message", label.text}});
        }
        if (!related.empty()) object["relatedInformation"] = std::move(related);
        all.push_back(std::move(object));
    }
    return all;
}

Json lsp_hover(const Document& document, std::uint32_t offset) {
    const Analysis* analysis = document.now.get();
    std::string text;
    Span place;
    if (const Occurrence* found = occurrence_at(document, offset, analysis)) {
        const NamedThing& thing = analysis->names.things[found->thing];
        place = found->place;
        text = fmt::format("```net\n{}\n```", thing.signature);
        const std::string value = value_of(*analysis, place);
        if (!value.empty()) text += fmt::format("\n\n`{}`{}", thing.name, value);
        if (!thing.doc.empty()) text += "\n\n" + thing.doc;
    } else if (const auto* type = type_around(*analysis, offset, place)) {
        text = fmt::format("`{}`", type->text);
    }
    if (text.empty()) return nullptr;
    return {{"contents", {{"kind", "markdown"}, {"value", text}}},
            {"range", range_json(analysis->sources, place)}};
}

Json lsp_definition(const Document& document, std::uint32_t offset,
                    const std::function<std::string()>& library_path) {
    const Analysis* analysis = nullptr;
    const Occurrence* found = occurrence_at(document, offset, analysis);
    if (found == nullptr) return nullptr;
    const Span place = analysis->names.things[found->thing].place;
    if (!place.known()) return nullptr;
    std::string uri = document.uri;
    if (place.file == 0) {
        const std::string path = library_path();
        if (path.empty()) return nullptr;
        uri = uri_of_path(path);
    } else if (place.file != analysis->main) {
        uri = uri_of_path(std::string(analysis->sources.path(place.file)));
    }
    return {{"uri", uri}, {"range", range_json(analysis->sources, place)}};
}

Json lsp_references(const Document& document, std::uint32_t offset, bool with_declaration) {
    Json all = Json::array();
    const Analysis* analysis = nullptr;
    const Occurrence* found = occurrence_at(document, offset, analysis);
    if (found == nullptr) return all;
    const Span declared = analysis->names.things[found->thing].place;
    Span last;
    for (const Occurrence& occurrence : analysis->names.occurrences) {
        if (occurrence.thing != found->thing || occurrence.place == last) continue;
        last = occurrence.place;
        if (!with_declaration && occurrence.place == declared) continue;
        all.push_back(
            {{"uri", document.uri}, {"range", range_json(analysis->sources, occurrence.place)}});
    }
    return all;
}

// Behind each stage of a pipeline that changes the shape, and behind names of tensors.
Json lsp_inlay_hints(const Document& document, std::uint32_t begin, std::uint32_t end) {
    Json all = Json::array();
    const Analysis& analysis = *document.now;
    const auto add = [&](std::uint32_t at, const std::string& label, bool pad) {
        if (at < begin || at > end) return;
        all.push_back({{"position", position_json(analysis.text, at)},
                       {"label", label},
                       {"kind", 1},
                       {"paddingLeft", pad}});
    };
    const NameIndex& names = analysis.names;
    for (std::size_t i = 0; i < names.pipelines.size(); ++i) {
        const std::size_t last =
            i + 1 < names.pipelines.size() ? names.pipelines[i + 1] : names.stages.size();
        std::string before;
        for (std::size_t stage = names.pipelines[i]; stage < last; ++stage) {
            const auto* type = analysis.types.find(names.stages[stage]);
            if (type == nullptr || !type->tensor || type->text == before) continue;
            before = type->text;
            add(names.stages[stage].end, type->text, true);
        }
    }
    for (const Span name : names.bindings) {
        const auto* type = analysis.types.find(name);
        const std::string_view behind = std::string_view(analysis.text).substr(name.end);
        const std::size_t next = behind.find_first_not_of(" \t");
        const bool written = next != std::string_view::npos && behind[next] == ':';
        if (type != nullptr && type->tensor && !written) add(name.end, ": " + type->text, false);
    }
    return all;
}

Json lsp_symbols(const Document& document) {
    Json all = Json::array();
    const Analysis& analysis = document.now->parsed ? *document.now : *document.whole;
    const auto globals = analysis.names.globals.find(analysis.main);
    if (globals == analysis.names.globals.end()) return all;
    std::vector<const NamedThing*> things;
    for (const auto& [name, number] : globals->second)
        things.push_back(&analysis.names.things[number]);
    std::ranges::sort(things, {}, [](const NamedThing* thing) { return thing->place.begin; });
    for (const NamedThing* thing : things) {
        const Json range = range_json(analysis.sources, thing->place);
        all.push_back({{"name", thing->name},
                       {"detail", thing->signature},
                       {"kind", symbol_kind(thing->kind)},
                       {"range", range},
                       {"selectionRange", range}});
    }
    return all;
}

Json lsp_formatting(const Document& document) {
    SourceMap sources;
    Diagnostics none;
    const std::uint32_t file = sources.add(document.path, document.text);
    const std::optional<std::string> text = format_file(sources, file, none);
    if (!text) return nullptr;
    Json edits = Json::array();
    if (*text != document.text) {
        const auto size = static_cast<std::uint32_t>(document.text.size());
        edits.push_back({{"range", range_json(document.text, 0, size)}, {"newText", *text}});
    }
    return edits;
}

}  // namespace netc
