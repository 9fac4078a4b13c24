// Declarations of files: what `index_names` finds without looking into bodies.
#include "frontend/name_index.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/name_resolver.h"

namespace netc {
namespace {

std::string one_line(std::string_view text) {
    std::string line;
    bool space = false;
    for (const char c : text) {
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            space = true;
            continue;
        }
        if (space && !line.empty()) line += ' ';
        space = false;
        line += c;
    }
    return line;
}

NameKind kind_of(ast::CallableKind kind) {
    switch (kind) {
        case ast::CallableKind::fn: return NameKind::function;
        case ast::CallableKind::layer: return NameKind::layer;
        case ast::CallableKind::model: return NameKind::model;
    }
    return NameKind::function;
}

}  // namespace

std::string_view spelling(NameKind kind) {
    switch (kind) {
        case NameKind::builtin: return "builtin";
        case NameKind::function: return "fn";
        case NameKind::layer: return "layer";
        case NameKind::model: return "model";
        case NameKind::section: return "train section";
        case NameKind::constant: return "const";
        case NameKind::option: return "option";
        case NameKind::alias: return "imported file";
        case NameKind::formal: return "argument";
        case NameKind::input: return "input";
        case NameKind::output: return "output";
        case NameKind::target: return "target";
        case NameKind::metric: return "metric";
        case NameKind::dimension: return "dimension";
        case NameKind::local: return "name";
        case NameKind::parameter: return "param";
        case NameKind::state: return "state";
    }
    return "";
}

std::string signature_of(const SourceMap& sources, const ast::Item& item) {
    Span head = item.span;
    if (const auto* callable = std::get_if<ast::Callable>(&item.kind)) {
        head.begin = callable->keyword.begin;
        head.end = callable->result ? callable->result->span.end : callable->inputs.span.end;
    }
    return one_line(sources.text(head));
}

const Occurrence* NameIndex::at(std::uint32_t file, std::uint32_t offset) const {
    auto found = std::ranges::upper_bound(occurrences, offset, {},
                                          [](const Occurrence& o) { return o.place.begin; });
    if (found == occurrences.begin()) return nullptr;
    --found;
    const bool inside = found->place.file == file && offset <= found->place.end;
    return inside ? &*found : nullptr;
}

const NamedThing* NameIndex::global(std::uint32_t file, std::string_view name) const {
    const auto names = globals.find(file);
    if (names == globals.end()) return nullptr;
    const auto found = names->second.find(name);
    return found == names->second.end() ? nullptr : &things[found->second];
}

namespace frontend {

std::string builtin_signature(const Builtin& builtin) {
    const auto list = [](const std::vector<frontend::BuiltinFormal>& formals) {
        std::string text;
        for (const BuiltinFormal& formal : formals) {
            text += text.empty() ? "" : ", ";
            text += formal.name;
            if (!formal.default_text.empty()) text += fmt::format(" = {}", formal.default_text);
        }
        return "(" + text + ")";
    };
    std::string text(builtin.name);
    if (builtin.configurable || !builtin.configuration.empty()) text += list(builtin.configuration);
    if (builtin.max_inputs != 0 || !builtin.inputs.empty()) text += list(builtin.inputs);
    return text;
}

std::uint32_t NameResolver::add(NamedThing thing) {
    index_.things.push_back(std::move(thing));
    return static_cast<std::uint32_t>(index_.things.size() - 1);
}

void NameResolver::add_builtins() {
    for (const Builtin& builtin : all_builtins()) {
        NamedThing thing;
        thing.kind = NameKind::builtin;
        thing.name = builtin.name;
        thing.doc = builtin.doc;
        thing.signature = builtin_signature(builtin);
        for (const auto* list : {&builtin.configuration, &builtin.inputs}) {
            for (const BuiltinFormal& formal : *list) {
                NamedThing argument;
                argument.kind = list == &builtin.inputs ? NameKind::input : NameKind::formal;
                argument.name = formal.name;
                argument.signature = std::string(formal.name);
                thing.formals.push_back(add(std::move(argument)));
            }
        }
        const std::uint32_t number = add(std::move(thing));
        index_.globals[kNoFile].emplace(builtin.name, number);
    }
}

std::uint32_t NameResolver::add_formal(const ast::Formal& formal, NameKind kind, Span visible) {
    NamedThing thing;
    thing.kind = kind;
    thing.name = formal.name.text;
    thing.place = formal.name.span;
    thing.visible = visible;
    thing.signature = one_line(sources_.text(formal.span));
    thing.value_type = one_line(sources_.text(formal.type.span));
    return add(std::move(thing));
}

// The declarations of a file, with their formals, but not what is inside of them.
void NameResolver::declare_file(const ast::File& file) {
    const auto end = static_cast<std::uint32_t>(sources_.text(file.file).size());
    const Span whole{file.file, 0, end};
    auto& globals = index_.globals[file.file];
    for (const ast::Item& item : file.items) {
        NamedThing thing;
        thing.visible = whole;
        thing.doc = item.doc;
        thing.signature = signature_of(sources_, item);
        if (const auto* constant = std::get_if<ast::Const>(&item.kind)) {
            thing.kind = NameKind::constant;
            thing.name = constant->name.text;
            thing.place = constant->name.span;
        } else if (const auto* option = std::get_if<ast::Option>(&item.kind)) {
            thing.kind = NameKind::option;
            thing.name = option->name.text;
            thing.place = option->name.span;
            if (thing.doc.empty()) thing.doc = option->help;
        } else if (const auto* callable = std::get_if<ast::Callable>(&item.kind)) {
            thing.kind = kind_of(callable->kind);
            thing.name = callable->name.text;
            thing.place = callable->name.span;
            if (callable->configuration) {
                for (const ast::Formal& formal : callable->configuration->formals)
                    thing.formals.push_back(add_formal(formal, NameKind::formal, item.span));
            }
            for (const ast::Formal& formal : callable->inputs.formals)
                thing.formals.push_back(add_formal(formal, NameKind::input, item.span));
            thing.inside = thing.formals;
        } else if (const auto* import = std::get_if<ast::Import>(&item.kind)) {
            if (!import->alias) continue;
            thing.kind = NameKind::alias;
            thing.name = import->alias->text;
            thing.place = import->alias->span;
            thing.imported = imported_file(file.file, import->path);
        } else {
            continue;
        }
        const std::string name = thing.name;
        globals.emplace(name, add(std::move(thing)));
    }
}

std::uint32_t NameResolver::imported_file(std::uint32_t from, const std::string& path) const {
    const std::filesystem::path own(std::string(sources_.path(from)));
    const std::string wanted = (own.parent_path() / path).lexically_normal().string();
    for (std::uint32_t file = 0; file < sources_.size(); ++file) {
        if (sources_.path(file) == wanted) return file;
    }
    return kNoFile;
}

}  // namespace frontend

NameIndex index_names(const SourceMap& sources, const ast::File& main,
                      const std::vector<const ast::File*>& imported, const ast::File* library) {
    NameIndex index;
    frontend::NameResolver resolver(sources, main, library, index);
    resolver.add_builtins();
    if (library != nullptr) resolver.declare_file(*library);
    for (const ast::File* file : imported) resolver.declare_file(*file);
    resolver.declare_file(main);
    resolver.resolve();
    std::ranges::stable_sort(index.occurrences, {},
                             [](const Occurrence& o) { return o.place.begin; });
    return index;
}

}  // namespace netc
