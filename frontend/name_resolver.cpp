// Names in bodies and train sections.
#include "frontend/name_resolver.h"

#include <algorithm>

#include <fmt/format.h>

namespace netc::frontend {
namespace {

template <class... Functions>
struct Overloaded : Functions... {
    using Functions::operator()...;
};

}  // namespace

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

// ---------------------------------------------------------------- statements

void NameResolver::pattern(const ast::Pattern& pattern, bool bound_by_statement) {
    if (pattern.is_tuple()) {
        for (const ast::Pattern& part : pattern.parts) this->pattern(part, bound_by_statement);
        return;
    }
    declare(NameKind::local, pattern.name, pattern.span);
    if (bound_by_statement) index_.bindings.push_back(pattern.span);
}

void NameResolver::block(const ast::Block& block) {
    const std::size_t mark = locals_.size();
    for (const ast::Stmt& made : block.statements) statement(made);
    close(mark, block.span.end);
}

void NameResolver::assertion(const ast::Assert& assertion) {
    expression(assertion.condition);
    for (const ast::TextPart& part : assertion.text) {
        if (part.value) expression(*part.value);
    }
}

void NameResolver::statement(const ast::Stmt& statement) {
    const auto variable = [&](NameKind kind, const auto& made) {
        type(made.type, nullptr);
        expression(made.value);
        declare(kind, made.name.text, made.name.span,
                fmt::format("{} {}", spelling(kind),
                            sources_.text(cover(made.name.span, made.type.span))));
    };
    std::visit(Overloaded{
                   [&](const ast::Let& let) {
                       if (let.type) type(*let.type, nullptr);
                       expression(let.value);
                       pattern(let.pattern, true);
                   },
                   [&](const ast::Var& var) {
                       if (var.type) type(*var.type, nullptr);
                       expression(var.value);
                       declare(NameKind::local, var.name.text, var.name.span);
                       index_.bindings.push_back(var.name.span);
                   },
                   [&](const ast::Param& param) {
                       variable(NameKind::parameter, param);
                       arguments(param.attributes, kNone);
                   },
                   [&](const ast::State& state) { variable(NameKind::state, state); },
                   [&](const ast::Update& update) {
                       refer(update.name);
                       expression(update.value);
                   },
                   [&](const ast::Assign& assign) {
                       refer(assign.name);
                       expression(assign.value);
                   },
                   [&](const ast::For& loop) {
                       expression(loop.source);
                       const std::size_t mark = locals_.size();
                       pattern(loop.pattern, false);
                       block(loop.body);
                       close(mark, loop.body.span.end);
                   },
                   [&](const ast::If& choice) {
                       expression(choice.condition);
                       block(choice.then_block);
                       if (choice.else_block) block(*choice.else_block);
                   },
                   [&](const ast::Assert& made) { assertion(made); },
                   [&](const ast::Yield& made) { expression(made.value); },
                   [&](const ast::Return& made) { expression(made.value); },
               },
               statement.kind);
}

// ---------------------------------------------------------------- expressions

// The place of a name without the parentheses around it.
Span NameResolver::name_in(Span place, std::string_view name) const {
    const std::size_t at = sources_.text(place).find(name);
    if (at == std::string_view::npos) return place;
    const auto begin = place.begin + static_cast<std::uint32_t>(at);
    return {place.file, begin, begin + static_cast<std::uint32_t>(name.size())};
}

void NameResolver::arguments(const std::vector<ast::Argument>& arguments, std::uint32_t callee) {
    for (const ast::Argument& argument : arguments) {
        if (argument.name && callee != kNone) {
            for (const std::uint32_t formal : index_.things[callee].formals) {
                if (index_.things[formal].name == argument.name->text)
                    mention(argument.name->span, formal);
            }
        }
        expression(argument.value);
    }
}

void NameResolver::expression(const ast::Expr& expression) {
    const auto items = [&](const std::vector<ast::Expr>& list) {
        for (const ast::Expr& item : list) this->expression(item);
    };
    const auto stages = [&](const auto& node) {
        this->expression(*node.first);
        for (const ast::Stage& stage : node.stages) this->expression(stage.value);
    };
    std::visit(Overloaded{
                   [](const ast::IntLiteral&) {},
                   [](const ast::FloatLiteral&) {},
                   [](const ast::QuantityLiteral&) {},
                   [](const ast::StringLiteral&) {},
                   [](const ast::BoolLiteral&) {},
                   [](const ast::DtypeLiteral&) {},
                   [&](const ast::NameRef& node) {
                       mention(name_in(expression.span, node.name), lookup(node.name));
                   },
                   [&](const ast::Tuple& node) { items(node.items); },
                   [&](const ast::List& node) { items(node.items); },
                   [&](const ast::Call& node) {
                       const auto* name = std::get_if<ast::NameRef>(&node.callee->kind);
                       std::uint32_t callee = name ? lookup(name->name) : kNone;
                       const Span visible = callee == kNone ? Span{} : index_.things[callee].place;
                       const bool library = library_ != nullptr && visible.file == library_->file;
                       if (name && setting_ && (library || !visible.known())) {
                           callee = kNone;
                       } else {
                           this->expression(*node.callee);
                           // conv(64, k = 3)(x): names of the second list are the same declaration's.
                           const ast::Expr* inner = node.callee.get();
                           while (const auto* call = std::get_if<ast::Call>(&inner->kind))
                               inner = call->callee.get();
                           if (const auto* first = std::get_if<ast::NameRef>(&inner->kind))
                               callee = lookup(first->name);
                           if (const auto* member = std::get_if<ast::Member>(&inner->kind)) {
                               const Occurrence* found = nullptr;
                               for (const Occurrence& o : index_.occurrences) {
                                   if (o.place == member->name.span) found = &o;
                               }
                               if (found) callee = found->thing;
                           }
                       }
                       arguments(node.arguments, callee);
                   },
                   [&](const ast::Index& node) {
                       this->expression(*node.base);
                       for (const ast::SliceItem& item : node.items) {
                           if (const auto* range = std::get_if<ast::SliceRange>(&item.kind)) {
                               if (range->begin) this->expression(*range->begin);
                               if (range->end) this->expression(*range->end);
                           } else if (const auto* index =
                                          std::get_if<ast::SliceIndex>(&item.kind)) {
                               this->expression(*index->index);
                           }
                       }
                   },
                   [&](const ast::Member& node) {
                       this->expression(*node.base);
                       const auto* name = std::get_if<ast::NameRef>(&node.base->kind);
                       const std::uint32_t base = name ? lookup(name->name) : kNone;
                       if (base == kNone || index_.things[base].kind != NameKind::alias) return;
                       const auto names = index_.globals.find(index_.things[base].imported);
                       if (names == index_.globals.end()) return;
                       const auto found = names->second.find(node.name.text);
                       if (found != names->second.end()) mention(node.name.span, found->second);
                   },
                   [&](const ast::Ascribe& node) {
                       this->expression(*node.value);
                       type(node.type, nullptr);
                   },
                   [&](const ast::Unary& node) { this->expression(*node.operand); },
                   [&](const ast::Binary& node) {
                       this->expression(*node.left);
                       this->expression(*node.right);
                   },
                   [&](const ast::Pipe& node) {
                       index_.pipelines.push_back(index_.stages.size());
                       for (const ast::Stage& stage : node.stages)
                           index_.stages.push_back(stage.value.span);
                       stages(node);
                   },
                   [&](const ast::Compose& node) { stages(node); },
                   [&](const ast::IfExpr& node) {
                       this->expression(*node.condition);
                       this->expression(*node.then_value);
                       this->expression(*node.else_value);
                   },
                   [&](const ast::Lambda& node) {
                       const std::size_t mark = locals_.size();
                       for (const ast::Name& name : node.parameters)
                           declare(NameKind::local, name.text, name.span);
                       this->expression(*node.body);
                       close(mark, expression.span.end);
                   },
                   [&](const ast::Repeat& node) {
                       this->expression(*node.source);
                       const std::size_t mark = locals_.size();
                       if (node.pattern) pattern(*node.pattern, false);
                       this->expression(*node.body);
                       close(mark, expression.span.end);
                   },
                   [&](const ast::Scan& node) {
                       this->expression(*node.source);
                       const std::size_t mark = locals_.size();
                       pattern(node.pattern, false);
                       block(node.body);
                       close(mark, expression.span.end);
                   },
               },
               expression.kind);
}

}  // namespace netc::frontend
