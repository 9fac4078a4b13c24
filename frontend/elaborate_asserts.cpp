// Asserts: static facts that a layer or a file demands.
#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "frontend/elaborate_variables.h"

namespace netc::frontend {

std::optional<std::string> assert_text(Context& context, const ast::Assert& assertion,
                                       const ScopePointer& scope) {
    std::string text;
    for (const ast::TextPart& part : assertion.text) {
        if (!part.value) {
            text += part.text;
            continue;
        }
        const Datum value = evaluate(context, *part.value, scope);
        if (value.failed()) return std::nullopt;
        text += describe_value(value);
    }
    return text;
}

namespace {

void collect_names(const ast::Expr& expression, std::vector<const std::string*>& names) {
    if (const auto* reference = std::get_if<ast::NameRef>(&expression.kind)) {
        const bool known = std::any_of(names.begin(), names.end(), [&](const std::string* other) {
            return *other == reference->name;
        });
        if (!known) names.push_back(&reference->name);
    } else if (const auto* node = std::get_if<ast::Binary>(&expression.kind)) {
        collect_names(*node->left, names);
        collect_names(*node->right, names);
    } else if (const auto* unary = std::get_if<ast::Unary>(&expression.kind)) {
        collect_names(*unary->operand, names);
    }
}

// Of which input a name is a dimension: ` (last dimension of x: f32[B, 10, 96])`.
std::string dimension_text(const Frame* frame, const std::string& name, const ScopePointer& scope) {
    if (!frame || !frame->declaration) return {};
    for (const ast::Formal& formal : frame->declaration->callable->inputs.formals) {
        const auto* type = std::get_if<ast::TensorType>(&formal.type.kind);
        const Entry* entry = scope->find(formal.name.text);
        const Tensor* tensor = type && entry ? entry->value.tensor() : nullptr;
        if (!tensor) continue;
        for (std::size_t i = 0; i < type->dims.size(); ++i) {
            const auto* dim = std::get_if<ast::ExprPtr>(&type->dims[i].kind);
            const auto* reference = dim ? std::get_if<ast::NameRef>(&(*dim)->kind) : nullptr;
            if (!reference || reference->name != name) continue;
            const bool last = i + 1 == type->dims.size();
            return fmt::format(" ({} of {}: {})",
                               last ? "last dimension" : fmt::format("dimension {}", i),
                               formal.name.text, tensor->type.to_string());
        }
    }
    return {};
}

// D = 96, heads = 10: what the condition mentions.
std::string values_text(const Frame* frame, const ast::Expr& condition, const ScopePointer& scope) {
    std::vector<const std::string*> names;
    collect_names(condition, names);
    std::string text;
    for (const std::string* name : names) {
        const Entry* entry = scope->find(*name);
        if (!entry || entry->value.failed() || entry->value.function()) continue;
        text += fmt::format("{}{} = {}{}", text.empty() ? "" : ", ", *name,
                            describe_value(entry->value), dimension_text(frame, *name, scope));
    }
    return text;
}

// `D % heads == 0` fails: the divisors of D on both sides of heads.
std::string divisors_help(Context& context, const ast::Expr& condition, const ScopePointer& scope) {
    const auto* equal = std::get_if<ast::Binary>(&condition.kind);
    if (!equal || equal->op != ast::BinaryOperator::equal) return {};
    const auto* modulo = std::get_if<ast::Binary>(&equal->left->kind);
    if (!modulo || modulo->op != ast::BinaryOperator::modulo) return {};
    const Datum left = evaluate(context, *modulo->left, scope);
    const Datum right = evaluate(context, *modulo->right, scope);
    const auto* whole = left.as<std::int64_t>();
    const auto* part = right.as<std::int64_t>();
    if (!whole || !part || *whole < 1 || *whole > 1'000'000) return {};
    std::string text;
    std::int64_t below = 0, above = 0;
    for (std::int64_t i = 1; i <= *whole; ++i) {
        if (*whole % i != 0) continue;
        if (i < *part) below = i;
        if (i > *part && above == 0) above = i;
    }
    if (below) text = std::to_string(below);
    if (above) text += (text.empty() ? "" : ", ") + std::to_string(above);
    return fmt::format("divisors of {} close to {}: {}", *whole, *part, text);
}

}  // namespace

bool check_assert(Context& context, const ast::Assert& node, Span place,
                  const ScopePointer& scope) {
    const Datum value = evaluate(context, node.condition, scope);
    if (value.failed()) return false;
    if (const bool* truth = value.as<bool>()) {
        if (*truth) return true;
    } else if (const Tensor* tensor = value.tensor(); tensor && tensor->type.rank() == 0) {
        report(context, diagnose<Code::not_supported_yet>(
                            blame(context, node.condition.span),
                            "an `assert` on a size that is only known at run time"));
        return false;
    } else {
        condition_value(context, node.condition, "assert", scope);
        return false;
    }
    if (context.session.detached) return false;
    std::optional<std::string> text = assert_text(context, node, scope);
    if (!text) return false;
    if (text->empty())
        text = fmt::format("`{}` does not hold", source_text(context, node.condition.span));
    const Frame* frame = context.frame;
    const bool called = frame && frame->caller;
    const Span at = called ? blame(context, frame->call) : place;
    Diagnostic diagnostic = diagnose<Code::requirement_violated>(at, *text);
    if (called && frame->function) {
        const Position begin = context.session.sources.begin(place);
        diagnostic.primary.text = fmt::format("required by `{}` ({}:{})", frame->function->name(),
                                              context.session.sources.path(place.file), begin.line);
    }
    const std::string values = values_text(frame, node.condition, scope);
    if (!values.empty()) std::move(diagnostic).note("{}", values);
    report(context, std::move(diagnostic).help_text(divisors_help(context, node.condition, scope)));
    return false;
}

}  // namespace netc::frontend
