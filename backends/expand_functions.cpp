// Replacing functions by their formulas in a graph and in whole kernels.
#include "backends/expand_functions.h"

#include <utility>

#include "backends/expand_f32.h"
#include "backends/expand_f64.h"

namespace netc {

bool is_function(ScalarOp op) { return op >= ScalarOp::exp && op <= ScalarOp::pow; }

ScalarId expand_function(ScalarGraph& graph, std::vector<std::vector<double>>& tables, ScalarOp op,
                         std::span<const ScalarId> operands) {
    Formula f{graph, tables};
    const ScalarId x = operands[0];
    if (graph.type(x) != DType::f32) {
        if (graph.type(x) == DType::f64) {
            if (const std::optional<ScalarId> result = expand_f64(f, op, x)) return *result;
        }
        Scalar scalar{.op = op, .type = graph.type(x), .operands = {}};
        scalar.operands.assign(operands.begin(), operands.end());
        return graph.add_node(std::move(scalar));
    }
    if (op == ScalarOp::exp) return expand_exp(f, x);
    if (op == ScalarOp::expm1) return expand_expm1(f, x);
    if (op == ScalarOp::log) return expand_log(f, x);
    if (op == ScalarOp::log1p) return expand_log1p(f, x);
    if (op == ScalarOp::sin) return expand_sin_or_cos(f, x, false);
    if (op == ScalarOp::cos) return expand_sin_or_cos(f, x, true);
    if (op == ScalarOp::tanh) return expand_tanh(f, x);
    if (op == ScalarOp::erf) return expand_erf(f, x);
    return expand_pow(f, x, operands[1]);
}

namespace {

class Expansion {
public:
    explicit Expansion(Kernel& kernel) : kernel_(kernel), old_(std::move(kernel.scalars)) {
        kernel_.scalars = ScalarGraph();
        places_.assign(old_.size(), kNoScalar);
    }

    void run() {
        for (Stage& stage : kernel_.stages) {
            if (stage.reduction) {
                for (ScalarId& id : stage.reduction->step) id = move(id);
                for (ScalarId& id : stage.reduction->merge) id = move(id);
            }
            for (Store& store : stage.stores) {
                store.value = move(store.value);
                if (store.indirect >= 0) store.position = move(store.position);
            }
        }
    }

private:
    ScalarId move(ScalarId id) {
        if (places_[id] != kNoScalar) return places_[id];
        Scalar scalar = old_[id];
        for (ScalarId& operand : scalar.operands) operand = move(operand);
        if (scalar.op == ScalarOp::read) {
            Read& read = kernel_.reads[static_cast<std::size_t>(scalar.integer)];
            // A read is moved once: its node is the only one that names it.
            if (read.indirect >= 0) read.position = move(read.position);
        }
        places_[id] = is_function(scalar.op) ? expand_function(kernel_.scalars, kernel_.tables,
                                                               scalar.op, scalar.operands)
                                             : kernel_.scalars.add_node(std::move(scalar));
        return places_[id];
    }

    Kernel& kernel_;
    ScalarGraph old_;
    std::vector<ScalarId> places_;
};

}  // namespace

void expand_functions(Kernel& kernel) { Expansion(kernel).run(); }

}  // namespace netc
