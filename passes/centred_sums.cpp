#include "passes/centred_sums.h"

#include <optional>

#include "passes/centred.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

using Axes = std::vector<std::int64_t>;

// Longer sums are no gradients of a normalisation.
constexpr std::size_t kMostTerms = 8;

// A value times what is the same along the axes of the sum.
struct Term {
    struct Factor {
        OpId op;  // mul or div
        NodeId by;
    };
    NodeId value;
    std::vector<Factor> factors;  // the one that is applied last stands first
    bool negative = false;
};

// Takes a value apart into terms. False where there are too many.
bool collect(const Function& f, const Axes& axes, Term term, std::vector<Term>& terms) {
    const Node& node = f[term.value];
    const auto inner = [&](std::size_t operand) {
        Term next = term;
        next.value = node.inputs[operand];
        return next;
    };
    if (node.op == OpId::neg) {
        Term next = inner(0);
        next.negative = !next.negative;
        return collect(f, axes, std::move(next), terms);
    }
    if (node.op == OpId::mul || node.op == OpId::div) {
        for (const std::size_t by : {std::size_t{1}, std::size_t{0}}) {
            if (by == 0 && node.op == OpId::div) break;
            const std::optional<NodeId> factor = repeated_along(f, node.inputs[by], axes);
            if (!factor) continue;
            Term next = inner(1 - by);
            next.factors.push_back({node.op, *factor});
            return collect(f, axes, std::move(next), terms);
        }
    }
    const bool is_centred = centred(f, term.value, axes).has_value();
    if (!is_centred && (node.op == OpId::add || node.op == OpId::sub)) {
        Term right = inner(1);
        if (node.op == OpId::sub) right.negative = !right.negative;
        return collect(f, axes, inner(0), terms) && collect(f, axes, std::move(right), terms);
    }
    terms.push_back(std::move(term));
    return terms.size() <= kMostTerms;
}

// The one term whose sum is not zero, where there are others.
std::optional<Term> remaining_term(const Function& f, NodeId value, const Axes& axes) {
    std::vector<Term> terms;
    if (!collect(f, axes, Term{value, {}, false}, terms)) return std::nullopt;
    std::optional<Term> remaining;
    for (const Term& term : terms) {
        if (centred(f, term.value, axes)) continue;
        if (remaining) return std::nullopt;
        remaining = term;
    }
    if (terms.size() < 2) return std::nullopt;
    return remaining;
}

}  // namespace

void centred_sums(Function& function) {
    rewrite(function, [](Rebuilder& to, const Node& node) -> std::optional<NodeId> {
        if (node.op != OpId::reduce_sum || !is_float(node.type.dtype)) return std::nullopt;
        const auto& axes = node.attributes.get<Axes>("axes");
        const std::optional<Term> term = remaining_term(to.result(), node.inputs[0], axes);
        if (!term) return std::nullopt;
        const auto make = [&](OpId op, std::vector<NodeId> inputs) {
            return to.append(op, std::move(inputs), {}, node.type, node.origin);
        };
        NodeId value = to.append(node.op, {term->value}, node.attributes, node.type, node.origin);
        for (std::size_t k = term->factors.size(); k-- > 0;) {
            NodeId by = term->factors[k].by;
            if (to.result()[by].type.shape != node.type.shape)
                by = to.append(OpId::reshape, {by}, {{"shape", node.type.shape}}, node.type,
                               node.origin);
            value = make(term->factors[k].op, {value, by});
        }
        return term->negative ? make(OpId::neg, {value}) : value;
    });
}

}  // namespace netc
