// The evaluator: one expression of the syntax tree at a time.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/elaborate_scan.h"
#include "frontend/suggest.h"

namespace netc::frontend {

Entry* Scope::find(std::string_view name) {
    for (Scope* scope = this; scope; scope = scope->parent.get()) {
        for (auto entry = scope->entries.rbegin(); entry != scope->entries.rend(); ++entry) {
            if (entry->name == name) return &*entry;
        }
    }
    return nullptr;
}

Global* find_global(const FileScope* file, std::string_view name) {
    const FileScope* const own = file;
    for (; file; file = file->parent) {
        if (file != own && name.starts_with('_')) break;  // private to its file
        const auto found = file->names.find(name);
        if (found != file->names.end()) return found->second.get();
    }
    return nullptr;
}

Datum lookup(Context& context, std::string_view name, Span place, const ScopePointer& scope) {
    if (Entry* entry = scope ? scope->find(name) : nullptr) return entry->value;
    const FileScope* file = context.frame ? context.frame->file : context.session.main;
    if (Global* global = find_global(file, name)) return global_value(context, *global);
    if (name == "training") return {context.training, place};
    if (const Builtin* builtin = find_builtin(name)) {
        auto function = std::make_shared<FunctionValue>();
        function->builtin = builtin;
        function->place = place;
        return {function, place};
    }
    std::vector<std::string> candidates;
    for (const Scope* at = scope.get(); at; at = at->parent.get()) {
        for (const Entry& entry : at->entries) candidates.emplace_back(entry.name);
    }
    for (const FileScope* at = file; at; at = at->parent) {
        for (const auto& [known, global] : at->names) candidates.push_back(known);
    }
    const auto meant = suggest(name, candidates);
    return report(context, diagnose<Code::unknown_name>(blame(context, place), "value", name)
                               .text("not found")
                               .caused_by(std::string(name))
                               .help_text(meant ? "did you mean `" + *meant + "`?" : ""));
}

std::optional<bool> condition_value(Context& context, const ast::Expr& expression,
                                    std::string_view what, const ScopePointer& scope,
                                    const ast::IfExpr* choices) {
    const Datum value = evaluate(context, expression, scope);
    if (value.failed()) return std::nullopt;
    if (const bool* truth = value.as<bool>()) return *truth;
    const Span place = blame(context, expression.span);
    if (const Tensor* tensor = value.tensor()) {
        Diagnostic diagnostic = diagnose<Code::runtime_condition>(place, what);
        if (tensor->type.rank() == 0) {
            diagnostic.primary.text =
                "this is " + tensor->type.to_string() + ", only known at run time";
        } else {
            diagnostic.primary.text =
                fmt::format("this is {}, one truth value per element", tensor->type.to_string());
        }
        const auto text = [&](const ast::ExprPtr& value) {
            return source_text(context, value->span, 30);
        };
        report(context,
               std::move(diagnostic)
                   .help("choose element by element: `where({}, {}, {})`",
                         source_text(context, place, 30), choices ? text(choices->then_value) : "a",
                         choices ? text(choices->else_value) : "b"));
        return std::nullopt;
    }
    report(context, diagnose<Code::wrong_static_type>(
                        place, fmt::format("the condition of `{}`", what), "a bool")
                        .text("this is {}", describe_kind(value)));
    return std::nullopt;
}

std::optional<Items> iterable(Context& context, const Datum& value, std::string_view what) {
    if (value.failed()) return std::nullopt;
    if (const Items* items = value.items()) return *items;
    report(context, diagnose<Code::wrong_static_type>(blame(context, value.place),
                                                      fmt::format("what `{}` runs over", what),
                                                      "a list or a range")
                        .text("this is {}", describe_kind(value)));
    return std::nullopt;
}

namespace {

struct Evaluator {
    Context& context;
    const ast::Expr& expression;
    const ScopePointer& scope;

    Datum operator()(const ast::IntLiteral& node) const { return {node.value, expression.span}; }
    Datum operator()(const ast::FloatLiteral& node) const { return {node.value, expression.span}; }
    Datum operator()(const ast::QuantityLiteral& node) const {
        return {QuantityValue{node.value, node.unit}, expression.span};
    }
    Datum operator()(const ast::StringLiteral& node) const { return {node.value, expression.span}; }
    Datum operator()(const ast::BoolLiteral& node) const { return {node.value, expression.span}; }
    Datum operator()(const ast::DtypeLiteral& node) const {
        return {DtypeValue{node.dtype}, expression.span};
    }
    Datum operator()(const ast::NameRef& node) const {
        return lookup(context, node.name, expression.span, scope);
    }
    Datum operator()(const ast::Tuple& node) const {
        std::optional<Items> items = all(node.items);
        return items ? make_tuple(std::move(*items), expression.span) : failed_datum();
    }
    Datum operator()(const ast::List& node) const {
        std::optional<Items> items = all(node.items);
        return items ? make_list(std::move(*items), expression.span) : failed_datum();
    }
    std::optional<Items> all(const std::vector<ast::Expr>& expressions) const {
        Items items;
        bool failed = false;
        items.reserve(expressions.size());
        for (const ast::Expr& item : expressions) {
            items.push_back(evaluate(context, item, scope));
            failed |= items.back().failed();
        }
        if (failed) return std::nullopt;
        return items;
    }

    Datum operator()(const ast::Call& node) const {
        const Datum callee = evaluate(context, *node.callee, scope);
        if (callee.failed()) return callee;
        const auto* function = callee.as<FunctionPointer>();
        if (!function) {
            return report(context, diagnose<Code::wrong_static_type>(
                                       blame(context, node.callee->span), "what is called",
                                       "a layer or a function")
                                       .text("this is {}", describe_kind(callee)));
        }
        std::vector<Actual> actuals;
        actuals.reserve(node.arguments.size());
        for (const ast::Argument& argument : node.arguments) {
            Actual actual;
            if (argument.name) {
                actual.name = argument.name->text;
                actual.name_place = argument.name->span;
            }
            actual.place = argument.span;
            actual.value = evaluate(context, argument.value, scope);
            actuals.push_back(std::move(actual));
        }
        const FunctionPointer kept = *function;
        return call(context, kept, std::move(actuals), expression.span, node.callee->span);
    }
    Datum operator()(const ast::Index& node) const {
        return index(context, expression, node, scope);
    }
    Datum operator()(const ast::Member& node) const {
        const Datum base = evaluate(context, *node.base, scope);
        if (base.failed()) return base;
        if (const auto* file = base.as<const FileScope*>()) {
            const auto found = (*file)->names.find(node.name.text);
            const bool visible = found != (*file)->names.end() && node.name.text[0] != '_';
            if (visible) return global_value(context, *found->second);
            std::vector<std::string> names;
            for (const auto& [name, global] : (*file)->names) names.push_back(name);
            const auto meant = suggest(node.name.text, names);
            return report(context, diagnose<Code::unknown_name>(
                                       blame(context, node.name.span),
                                       "name in `" + source_text(context, node.base->span) + "`",
                                       node.name.text)
                                       .help_text(meant ? "did you mean `" + *meant + "`?" : ""));
        }
        return report(context, diagnose<Code::wrong_static_type>(
                                   blame(context, node.base->span),
                                   fmt::format("what stands before `.{}`", node.name.text),
                                   "an imported file")
                                   .text("this is {}", describe_kind(base)));
    }
    Datum operator()(const ast::Ascribe& node) const {
        const Datum value = evaluate(context, *node.value, scope);
        if (value.failed()) return value;
        const auto* type = std::get_if<ast::TensorType>(&node.type.kind);
        const Tensor* tensor = value.tensor();
        if (!type || !tensor) {
            const ast::ExprPtr& wrong = node.value;
            return report(context,
                          diagnose<Code::wrong_static_type>(
                              blame(context, tensor ? node.type.span : wrong->span),
                              tensor ? "what stands behind `as`" : "what stands before `as`",
                              tensor ? "a tensor type such as `f32[B, 4]`" : "a tensor")
                              .text("this is {}", tensor ? "another type" : describe_kind(value)));
        }
        const std::optional<Shape> shape = evaluate_shape(context, *type, scope);
        if (!shape) return failed_datum();
        const Type wanted{type->dtype == ast::Dtype::any ? tensor->type.dtype
                                                         : resolve(context, type->dtype),
                          *shape};
        if (wanted == tensor->type) return value;
        bool possible = wanted.dtype == tensor->type.dtype && wanted.rank() == tensor->type.rank();
        for (std::size_t i = 0; possible && i < shape->size(); ++i) {
            const Dim distance = tensor->type.shape[i] - (*shape)[i];
            possible = !distance.is_static() || distance.value() == 0;
        }
        if (possible) {  // what is not known now is checked when the program runs
            return make_node(context, OpId::ascribe, {tensor}, {{"shape", *shape}},
                             expression.span);
        }
        return report(context, diagnose<Code::ascription_fails>(blame(context, expression.span),
                                                                wanted.to_string())
                                   .text("this is {}", tensor->type.to_string()));
    }
    Datum operator()(const ast::Unary& node) const {
        const Datum operand = evaluate(context, *node.operand, scope);
        if (node.op == ast::UnaryOperator::negate) {
            return negate(context, operand, expression.span, node.op_span);
        }
        return logical_not(context, operand, expression.span);
    }
    Datum operator()(const ast::Binary& node) const {
        const Datum left = evaluate(context, *node.left, scope);
        if (const bool* truth = left.as<bool>()) {  // short circuit
            if (node.op == ast::BinaryOperator::logical_and && !*truth) return left;
            if (node.op == ast::BinaryOperator::logical_or && *truth) return left;
        }
        const Datum right = evaluate(context, *node.right, scope);
        return binary(context, node.op, left, right, expression.span, node.op_span);
    }

    Datum operator()(const ast::Pipe& node) const {
        const ast::Pipe* outer = context.pipe;
        context.pipe = nullptr;
        Datum value = evaluate(context, *node.first, scope);
        if (value.function()) {
            std::string tail;
            for (const ast::Stage& stage : node.stages) {
                tail += " |> " + source_text(context, stage.value.span, 30);
            }
            const std::string text = source_text(context, node.first->span, 30);
            context.pipe = outer;
            return report(
                context, diagnose<Code::layer_instead_of_tensor>(blame(context, node.first->span),
                                                                 "the left side of `|>`")
                             .label(blame(context, node.stages[0].op_span), "nothing flows in here")
                             .help("start from the input, `x |> {}{}`; to build a layer use `>>`",
                                   text, tail));
        }
        for (const ast::Stage& stage : node.stages) {
            if (value.failed()) break;
            context.pipe = &node;
            const Datum function = evaluate_stage(context, stage.value, scope);
            context.pipe = nullptr;
            if (function.failed()) {
                value = function;
                break;
            }
            const auto* pointer = function.as<FunctionPointer>();
            if (!pointer) {
                value = report(context, diagnose<Code::wrong_static_type>(
                                            blame(context, stage.value.span),
                                            "the right side of `|>`", "a layer or a function")
                                            .text("this is {}", describe_kind(function)));
                break;
            }
            std::vector<Datum> values;
            if (const auto* tuple = value.as<TupleValue>()) {
                values = *tuple->items;
            } else {
                values.push_back(std::move(value));
            }
            const FunctionPointer kept = *pointer;
            value = apply(context, kept, std::move(values), stage.value.span, stage.value.span);
            note_type(context, stage.value.span, value);
        }
        context.pipe = outer;
        return value;
    }
    Datum operator()(const ast::Compose& node) const {
        auto composed = std::make_shared<FunctionValue>();
        composed->composition = true;
        composed->configured = true;
        composed->place = expression.span;
        if (!append(*composed, *node.first)) return failed_datum();
        for (const ast::Stage& stage : node.stages) {
            if (!append(*composed, stage.value)) return failed_datum();
        }
        return {composed, expression.span};
    }
    bool append(FunctionValue& composed, const ast::Expr& part) const {
        const Datum value = evaluate_stage(context, part, scope);
        if (value.failed()) return false;
        if (const auto* function = value.as<FunctionPointer>()) {
            constexpr int kDepth = 500;  // compositions of compositions
            composed.depth = std::max(composed.depth, (*function)->depth + 1);
            if (composed.depth > kDepth) {
                report(context, diagnose<Code::nested_too_deeply>(blame(context, part.span),
                                                                  "this composition", kDepth));
                return false;
            }
            composed.parts.push_back(*function);
            return true;
        }
        report(context, diagnose<Code::wrong_static_type>(blame(context, part.span),
                                                          "a side of `>>`", "a layer or a function")
                            .text("this is {}", describe_kind(value))
                            .help_text(value.tensor() ? "a tensor flows through `|>`" : ""));
        return false;
    }

    Datum operator()(const ast::IfExpr& node) const {
        const std::optional<bool> truth =
            condition_value(context, *node.condition, "if", scope, &node);
        if (!truth) return failed_datum();
        return evaluate(context, *truth ? *node.then_value : *node.else_value, scope);
    }
    Datum operator()(const ast::Lambda& node) const {
        auto function = std::make_shared<FunctionValue>();
        function->lambda = &node;
        function->configured = true;
        function->scope = scope;
        function->place = expression.span;
        function->file = context.frame ? context.frame->file : context.session.main;
        return {function, expression.span};
    }
    Datum operator()(const ast::Repeat& node) const {
        const Datum source = evaluate(context, *node.source, scope);
        if (source.failed()) return source;
        Items turns;
        if (node.pattern) {
            std::optional<Items> items = iterable(context, source, "repeat");
            if (!items) return failed_datum();
            turns = std::move(*items);
        } else {
            const auto* count = source.as<std::int64_t>();
            if (!count || *count < 0) {
                return report(context,
                              diagnose<Code::wrong_static_type>(
                                  blame(context, node.source->span), "the count of `repeat`",
                                  "an int that is known while compiling and not negative")
                                  .text("this is {}",
                                        count ? std::to_string(*count) : describe_kind(source)));
            }
            if (*count > static_cast<std::int64_t>(kNodeBudget)) {
                return report(context, diagnose<Code::node_budget>(blame(context, expression.span),
                                                                   kNodeBudget)
                                           .text("{} turns", *count));
            }
            turns.resize(static_cast<std::size_t>(*count));
        }
        auto composed = std::make_shared<FunctionValue>();
        composed->composition = composed->repeats = true;
        composed->configured = true;
        composed->place = expression.span;
        for (const Datum& turn : turns) {
            const auto inner = std::make_shared<Scope>();
            inner->parent = scope;
            if (node.pattern && !bind(context, *node.pattern, turn, EntryKind::loop, inner)) {
                return failed_datum();
            }
            const Evaluator body{context, expression, inner};
            if (!body.append(*composed, *node.body)) return failed_datum();
        }
        return {composed, expression.span};
    }
    Datum operator()(const ast::Scan& node) const {
        return evaluate_scan(context, node, expression.span, scope);
    }
};

}  // namespace

Datum evaluate(Context& context, const ast::Expr& expression, const ScopePointer& scope) {
    if (!spend(context, expression.span)) return failed_datum();
    Datum value = std::visit(Evaluator{context, expression, scope}, expression.kind);
    if (!value.failed()) value.place = expression.span;
    note_type(context, expression.span, value);
    return value;
}

Datum evaluate_stage(Context& context, const ast::Expr& expression, const ScopePointer& scope) {
    Datum value = evaluate(context, expression, scope);
    const auto* function = value.as<FunctionPointer>();
    if (!function) return value;
    const FunctionPointer configured = configure_by_default(context, *function, expression.span);
    if (!configured) return failed_datum();
    return {configured, expression.span};
}

}  // namespace netc::frontend
