// Names of declarations and train sections.
#include "frontend/name_resolver.h"

#include <algorithm>

#include <fmt/format.h>

namespace netc::frontend {

std::uint32_t NameResolver::declare(NameKind kind, std::string_view name, Span place,
                                    std::string signature) {
    NamedThing thing;
    thing.kind = kind;
    thing.name = name;
    thing.place = place;
    thing.visible = {place.file, place.begin, scope_.end};
    thing.signature =
        signature.empty() ? fmt::format("{} {}", spelling(kind), name) : std::move(signature);
    const std::uint32_t number = add(std::move(thing));
    locals_.push_back(number);
    mention(place, number);
    return number;
}

std::uint32_t NameResolver::lookup_global(std::string_view name) const {
    std::vector<std::uint32_t> files{main_.file};
    for (const ast::Item& item : main_.items) {
        const auto* import = std::get_if<ast::Import>(&item.kind);
        if (import && !import->alias) files.push_back(imported_file(main_.file, import->path));
    }
    if (library_ != nullptr) files.push_back(library_->file);
    files.push_back(kNoFile);
    for (const std::uint32_t file : files) {
        const auto names = index_.globals.find(file);
        if (names == index_.globals.end()) continue;
        const auto found = names->second.find(name);
        if (found != names->second.end()) return found->second;
    }
    return kNone;
}

std::uint32_t NameResolver::lookup(std::string_view name) const {
    for (auto local = locals_.rbegin(); local != locals_.rend(); ++local) {
        if (index_.things[*local].name == name) return *local;
    }
    return lookup_global(name);
}

void NameResolver::mention(Span place, std::uint32_t thing) {
    if (thing != kNone && place.file == main_.file) index_.occurrences.push_back({place, thing});
}

void NameResolver::close(std::size_t mark, std::uint32_t end) {
    for (std::size_t i = mark; i < locals_.size(); ++i) {
        NamedThing& thing = index_.things[locals_[i]];
        thing.visible.end = std::min(thing.visible.end, end);
    }
    locals_.resize(mark);
}

void NameResolver::resolve() {
    for (const ast::Item& item : main_.items) {
        scope_ = item.span;
        std::visit(Overloaded{
                       [&](const ast::Import& import) {
                           if (import.alias) refer(*import.alias);
                       },
                       [&](const ast::Const& constant) {
                           refer(constant.name);
                           expression(constant.value);
                       },
                       [&](const ast::Option& option) {
                           refer(option.name);
                           expression(option.value);
                       },
                       [&](const ast::Callable& made) { callable(item, made); },
                       [&](const ast::Train& section) { train(item, section); },
                       [&](const ast::Assert& made) { assertion(made); },
                   },
                   item.kind);
        close(0, item.span.end);
    }
}

// ---------------------------------------------------------------- declarations

void NameResolver::callable(const ast::Item& item, const ast::Callable& callable) {
    const std::uint32_t own = lookup_global(callable.name.text);
    mention(callable.name.span, own);
    // Of two declarations of one name the second has no entry: it is an error anyway.
    if (own == kNone || index_.things[own].place != callable.name.span) return;
    const std::vector<std::uint32_t> formals = index_.things[own].formals;
    std::size_t next = 0;
    NamedThing bound;  // collects dimensions and outputs
    const auto list = [&](const std::vector<ast::Formal>& made) {
        for (const ast::Formal& formal : made) {
            type(formal.type, &bound);
            if (formal.default_value) expression(*formal.default_value);
            mention(formal.name.span, formals[next]);
            locals_.push_back(formals[next++]);
        }
    };
    if (callable.configuration) list(callable.configuration->formals);
    list(callable.inputs.formals);
    if (callable.result) {
        type(*callable.result, &bound);
        if (const auto* tuple = std::get_if<ast::TupleType>(&callable.result->kind)) {
            for (const ast::Field& field : tuple->fields) {
                if (!field.name) continue;
                bound.inside.push_back(
                    declare(NameKind::output, field.name->text, field.name->span));
                locals_.pop_back();  // the body does not see it
            }
        }
    }
    if (const auto* value = std::get_if<ast::ExprPtr>(&callable.body))
        expression(**value);
    else
        block(std::get<ast::Block>(callable.body));
    auto& inside = index_.things[own].inside;
    inside.insert(inside.end(), bound.inside.begin(), bound.inside.end());
    (void)item;
}

void NameResolver::train(const ast::Item& item, const ast::Train& train) {
    const std::uint32_t model = lookup_global(train.model.text);
    mention(train.model.span, model);
    if (train.name) {
        declare(NameKind::section, train.name->text, train.name->span);
        locals_.pop_back();
    }
    if (model != kNone) {
        const std::vector<std::uint32_t> inside = index_.things[model].inside;
        locals_.insert(locals_.end(), inside.begin(), inside.end());
    }
    for (const ast::TrainItem& made : train.items) {
        const auto* target = std::get_if<ast::Target>(&made.kind);
        if (!target) continue;
        type(target->type, nullptr);
        declare(
            NameKind::target, target->name.text, target->name.span,
            fmt::format("target {}", sources_.text(cover(target->name.span, target->type.span))));
    }
    for (const ast::TrainItem& made : train.items) {
        std::visit(Overloaded{
                       [](const ast::Target&) {},
                       [&](const ast::Augment& augment) {
                           refer(augment.name);
                           expression(augment.value);
                       },
                       [&](const ast::Metric& metric) {
                           declare(NameKind::metric, metric.name.text, metric.name.span);
                           locals_.pop_back();
                           expression(metric.value);
                       },
                       [&](const ast::Setting& setting) {
                           const std::string& name = setting.name.text;
                           setting_ = name != "loss";
                           if (name == "data" || name == "valid" || name == "test")
                               data_fields(setting.value);
                           expression(setting.value);
                           setting_ = false;
                       },
                   },
                   made.kind);
    }
    (void)item;
}

// csv("f", x = ..., y = ...): the fields are inputs and targets.
void NameResolver::data_fields(const ast::Expr& source) {
    const auto* call = std::get_if<ast::Call>(&source.kind);
    if (!call) return;
    for (const ast::Argument& argument : call->arguments) {
        if (!argument.name) continue;
        for (const std::uint32_t local : locals_) {
            const NamedThing& thing = index_.things[local];
            const bool field = thing.kind == NameKind::input || thing.kind == NameKind::target;
            if (field && thing.name == argument.name->text) mention(argument.name->span, local);
        }
    }
}

// With `binds`, a name that is not known yet is a dimension that is declared here.
void NameResolver::type(const ast::Type& type, NamedThing* binds) {
    const auto name = [&](std::string_view text, Span place) {
        const std::uint32_t known = lookup(text);
        const bool callable = known != kNone && (index_.things[known].kind == NameKind::function ||
                                                 index_.things[known].kind == NameKind::layer ||
                                                 index_.things[known].kind == NameKind::model ||
                                                 index_.things[known].kind == NameKind::builtin);
        if (binds != nullptr && (known == kNone || callable))
            binds->inside.push_back(declare(NameKind::dimension, text, place));
        else
            mention(place, known);
    };
    if (const auto* tensor = std::get_if<ast::TensorType>(&type.kind)) {
        for (const ast::Dim& dim : tensor->dims) {
            if (const auto* pack = std::get_if<ast::PackDim>(&dim.kind)) {
                name(pack->name.text, pack->name.span);
            } else if (const auto* value = std::get_if<ast::ExprPtr>(&dim.kind)) {
                const auto* reference = std::get_if<ast::NameRef>(&(*value)->kind);
                if (reference)
                    name(reference->name, name_in((*value)->span, reference->name));
                else
                    expression(**value);
            }
        }
    } else if (const auto* tuple = std::get_if<ast::TupleType>(&type.kind)) {
        for (const ast::Field& field : tuple->fields) this->type(field.type, binds);
    }
}

}  // namespace netc::frontend
