// Sums that look for the few terms that are meant for their result, as the gradient of an embedding does:
//
//     s0 -> select(equal(ids[k], index(i0)), s0 + x[k, i1], s0)
//
// Computed as it stands, each of the results would read all of x. So the conditions of several terms are computed
// first, their ids under way together, and x is read only where one holds. The order of the terms stays.
#include <algorithm>
#include <bit>

#include "backends/gpu/gpu_emitter.h"

namespace netc {
namespace {

// Values of an axis from which on the terms that are meant for one of them are few.
constexpr std::int64_t kRareValues = 16;
constexpr std::int64_t kAtOnce = 32;  // conditions, of all places

}  // namespace

// The condition, where a term is chosen by one of the many values of an axis.
std::optional<ScalarId> GpuEmitter::chosen_by(const Reduction& reduction) const {
    std::optional<ScalarId> condition;
    for (std::size_t k = 0; k < reduction.step.size(); ++k) {
        const Scalar& step = kernel_.scalars[reduction.step[k]];
        if (step.op != ScalarOp::select) return std::nullopt;
        const Scalar& otherwise = kernel_.scalars[step.operands[2]];
        if (otherwise.op != ScalarOp::state || otherwise.integer != static_cast<std::int64_t>(k) ||
            (condition && *condition != step.operands[0]))
            return std::nullopt;
        condition = step.operands[0];
    }
    if (!condition || !reduction.guards.empty() || has_state_[*condition]) return std::nullopt;
    const Scalar& equal = kernel_.scalars[*condition];
    if (equal.op != ScalarOp::equal) return std::nullopt;
    const bool rare = std::ranges::any_of(equal.operands, [&](ScalarId id) {
        const Scalar& operand = kernel_.scalars[id];
        if (operand.op != ScalarOp::index) return false;
        const Index& index = kernel_.indices[static_cast<std::size_t>(operand.integer)];
        return std::ranges::any_of(kernel_.outer, [&](AxisId axis) {
            return index.is_axis(axis) && extent_of(axis).at(batch_hint_) >= kRareValues;
        });
    });
    return rare ? condition : std::nullopt;
}

// Terms of the innermost loop, which runs over these values of its axis.
void GpuEmitter::add_chosen_terms(const Terms& terms, ScalarId condition, llvm::Value* from,
                                  llvm::Value* to, std::int64_t step) {
    const Reduction& reduction = terms.reduction;
    const AxisId axis = reduction.axes.back();
    const auto places = static_cast<std::int64_t>(terms.places.values.size());
    const auto add = [&](llvm::Value* first, std::int64_t count) {
        Values at;
        std::vector<Values> holds;  // by term, by place
        llvm::Value* any = nullptr;
        for (std::int64_t k = 0; k < count; ++k) {
            at.push_back(k == 0 ? first : builder_.CreateNSWAdd(first, number(k * step)));
            coordinate_[axis] = at.back();
            holds.emplace_back();
            for (std::size_t place = 0; place < terms.places.values.size(); ++place) {
                go_to(terms.places, place);
                holds.back().push_back(evaluate(condition));
                any = any == nullptr ? holds.back().back()
                                     : builder_.CreateOr(any, holds.back().back());
            }
        }
        const auto add_where = [&](std::size_t k, std::size_t place) {
            coordinate_[axis] = at[k];
            go_to(terms.places, place);
            set_state(values_of(terms.sums[place]));
            Values next;
            for (const ScalarId id : reduction.step)
                next.push_back(evaluate(kernel_.scalars[id].operands[1]));
            for (std::size_t n = 0; n < next.size(); ++n)
                builder_.CreateStore(next[n], terms.sums[place][n]);
        };
        if_then(any, [&] {
            for (std::size_t k = 0; k < at.size(); ++k)
                for (std::size_t place = 0; place < terms.places.values.size(); ++place)
                    if_then(holds[k][place], [&] { add_where(k, place); });
        });
        coordinate_[axis] = nullptr;
    };
    // A power of two, so that neighbouring ids are one wide load.
    const auto several = static_cast<std::int64_t>(
        std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(1, kAtOnce / places))));
    llvm::AllocaInst* next = variable(builder_.getInt32Ty(), "next");
    builder_.CreateStore(from, next);
    // The last round that is full begins below this.
    llvm::Value* full = builder_.CreateSub(to, number((several - 1) * step));
    loop(from, full, number(several * step), [&](llvm::Value* first) {
        add(first, several);
        builder_.CreateStore(builder_.CreateAdd(first, number(several * step)), next);
    });
    loop(load_variable(next), to, number(step), [&](llvm::Value* first) { add(first, 1); });
}

}  // namespace netc
