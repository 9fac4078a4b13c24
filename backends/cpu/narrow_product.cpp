#include "backends/cpu/narrow_product.h"

namespace netc {
namespace {

// What is widened, or nothing.
ScalarId widened(const ScalarGraph& scalars, ScalarId id) {
    const Scalar& cast = scalars[id];
    return cast.op == ScalarOp::cast ? cast.operands[0] : kNoScalar;
}

bool is_state(const ScalarGraph& scalars, ScalarId id) { return scalars[id].op == ScalarOp::state; }

}  // namespace

std::optional<NarrowProduct> narrow_product(const ScalarGraph& scalars, ScalarId id) {
    const Scalar& step = scalars[id];
    NarrowProduct found;
    if (step.op == ScalarOp::fma && step.type == DType::f32 &&
        is_state(scalars, step.operands[2])) {
        found.wide_a = step.operands[0];
        found.wide_b = step.operands[1];
    } else if (step.op == ScalarOp::add && step.type == DType::i32) {
        // The sum may stand on either side.
        const bool first = is_state(scalars, step.operands[0]);
        const Scalar& product = scalars[step.operands[first ? 1 : 0]];
        if (product.op != ScalarOp::mul || !is_state(scalars, step.operands[first ? 0 : 1]))
            return std::nullopt;
        found.wide_a = product.operands[0];
        found.wide_b = product.operands[1];
        found.in_word = 4;
    } else {
        return std::nullopt;
    }
    found.a = widened(scalars, found.wide_a);
    found.b = widened(scalars, found.wide_b);
    const auto fits = [&](ScalarId factor) {
        if (factor == kNoScalar) return false;
        const DType type = scalars.type(factor);
        return found.in_word == 2 ? type == DType::bf16 : type == DType::i8 || type == DType::u8;
    };
    if (!fits(found.a) || !fits(found.b)) return std::nullopt;
    return found;
}

}  // namespace netc
