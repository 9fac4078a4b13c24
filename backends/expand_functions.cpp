// Replacing functions by their formulas in a graph and in whole kernels.
#include "backends/expand_functions.h"

#include <utility>

#include "backends/expand_f32.h"
#include "backends/expand_f64.h"

namespace netc {

bool is_function(ScalarOp op) { return op >= ScalarOp::exp && op <= ScalarOp::pow; }

namespace {

// The formulas of one precision.
using Unary = ScalarId (*)(Formula&, ScalarId);
struct Formulas {
    Unary exp, expm1, log, log1p;
    ScalarId (*sin_or_cos)(Formula&, ScalarId, bool);
    Unary tanh, erf;
    ScalarId (*pow)(Formula&, ScalarId, ScalarId);
};

constexpr Formulas kF32{f32::expand_exp,   f32::expand_expm1,      f32::expand_log,
                        f32::expand_log1p, f32::expand_sin_or_cos, f32::expand_tanh,
                        f32::expand_erf,   f32::expand_pow};
constexpr Formulas kF64{f64::expand_exp,   f64::expand_expm1,      f64::expand_log,
                        f64::expand_log1p, f64::expand_sin_or_cos, f64::expand_tanh,
                        f64::expand_erf,   f64::expand_pow};

}  // namespace

ScalarId expand_function(ScalarGraph& graph, std::vector<std::vector<double>>& tables, ScalarOp op,
                         std::span<const ScalarId> operands) {
    Formula f{graph, tables};
    const ScalarId x = operands[0];
    const DType type = graph.type(x);
    if (type != DType::f32 && type != DType::f64) {
        Scalar scalar{.op = op, .type = type, .operands = {}};
        scalar.operands.assign(operands.begin(), operands.end());
        return graph.add_node(std::move(scalar));
    }
    const Formulas& formulas = type == DType::f64 ? kF64 : kF32;
    if (op == ScalarOp::exp) return formulas.exp(f, x);
    if (op == ScalarOp::expm1) return formulas.expm1(f, x);
    if (op == ScalarOp::log) return formulas.log(f, x);
    if (op == ScalarOp::log1p) return formulas.log1p(f, x);
    if (op == ScalarOp::sin) return formulas.sin_or_cos(f, x, false);
    if (op == ScalarOp::cos) return formulas.sin_or_cos(f, x, true);
    if (op == ScalarOp::tanh) return formulas.tanh(f, x);
    if (op == ScalarOp::erf) return formulas.erf(f, x);
    return formulas.pow(f, x, operands[1]);
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
