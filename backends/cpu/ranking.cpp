#include "backends/cpu/ranking.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace netc {
namespace {

// Below, comparing all with all is as fast.
constexpr std::int64_t kFew = 256;

class Matcher {
public:
    explicit Matcher(const Kernel& kernel) : kernel_(kernel) {}

    RankingPlan match() {
        if (kernel_.stages.size() != 1 || !kernel_.locals.empty()) return {};
        const Stage& stage = kernel_.stages[0];
        if (!stage.axes.empty() || !stage.reduction || stage.stores.size() != 1) return {};
        const Reduction& sum = *stage.reduction;
        if (sum.states.size() != 1 || sum.states[0].identity != 0 || !sum.guards.empty() ||
            sum.order.kind != OrderKind::sequential || sum.step.size() != 1) {
            return {};
        }
        const std::optional<AxisId> own = only_long_axis(kernel_.outer);
        const std::optional<AxisId> other = only_long_axis(sum.axes);
        const Store& store = stage.stores[0];
        if (!own || !other || kernel_.axes[*own].extent != kernel_.axes[*other].extent) return {};
        if (at(store.value).op != ScalarOp::state || store.indirect >= 0) return {};
        if (store.target.kind != Buffer::Kind::param || !is_at(store.index, *own)) return {};
        plan_.result = store.target.index;
        plan_.count = kernel_.axes[*own].extent;
        plan_.dtype = sum.states[0].dtype;
        own_ = *own;
        other_ = *other;
        const Scalar& step = at(sum.step[0]);
        if (step.op != ScalarOp::add) return {};
        for (const std::size_t s : {0u, 1u}) {
            if (at(step.operands[s]).op == ScalarOp::state && is_term(step.operands[1 - s])) {
                plan_.is_one = all_dense();
            }
        }
        return plan_;
    }

private:
    const Scalar& at(ScalarId id) const { return kernel_.scalars[id]; }

    std::optional<AxisId> only_long_axis(const std::vector<AxisId>& axes) const {
        std::optional<AxisId> found;
        for (const AxisId axis : axes) {
            const Extent& extent = kernel_.axes[axis].extent;
            if (extent.is_static() && extent.constant == 1) continue;
            if (found) return std::nullopt;
            found = axis;
        }
        return found;
    }

    // One dim is counted by the axis, the others have one element.
    bool is_at(const std::vector<Index>& index, AxisId axis) const {
        int found = 0;
        for (const Index& each : index) {
            if (each.is_axis(axis)) {
                ++found;
            } else if (std::ranges::any_of(each.terms(), [&](const IndexTerm& term) {
                           return term.kind != IndexTerm::Kind::axis || term.axis == own_ ||
                                  term.axis == other_;
                       })) {
                return false;
            }
        }
        return found == 1;
    }

    std::optional<std::uint32_t> param_at(ScalarId id, AxisId axis) const {
        const Scalar& scalar = at(id);
        if (scalar.op != ScalarOp::read || scalar.type != plan_.dtype) return std::nullopt;
        const Read& read = kernel_.reads[static_cast<std::size_t>(scalar.integer)];
        if (read.source.kind != Buffer::Kind::param || read.indirect >= 0 ||
            read.outside != Outside::never || !is_at(read.index, axis)) {
            return std::nullopt;
        }
        return read.source.index;
    }

    // A comparison of an element with the own one.
    bool compares(const Scalar& scalar, ScalarOp op) {
        if (scalar.op != op) return false;
        const auto value = param_at(scalar.operands[0], other_);
        const auto own = param_at(scalar.operands[1], own_);
        if (!value || value != own) return false;
        plan_.values = *value;
        return true;
    }

    bool is_half_weight(ScalarId id) const {
        const Scalar& half = at(id);
        if (half.op != ScalarOp::mul) return false;
        for (const std::size_t s : {0u, 1u}) {
            const Scalar& factor = at(half.operands[s]);
            if (factor.op == ScalarOp::constant && factor.number == 0.5 &&
                param_at(half.operands[1 - s], other_) == plan_.weights) {
                return true;
            }
        }
        return false;
    }

    // select(value < own, weight, select(value == own, weight / 2, 0))
    bool is_term(ScalarId id) {
        const Scalar& term = at(id);
        if (term.op != ScalarOp::select || !compares(at(term.operands[0]), ScalarOp::less))
            return false;
        const std::uint32_t values = plan_.values;
        const auto weights = param_at(term.operands[1], other_);
        const Scalar& tie = at(term.operands[2]);
        if (!weights || tie.op != ScalarOp::select) return false;
        plan_.weights = *weights;
        const Scalar& nothing = at(tie.operands[2]);
        return compares(at(tie.operands[0]), ScalarOp::equal) && plan_.values == values &&
               is_half_weight(tie.operands[1]) && nothing.op == ScalarOp::constant &&
               nothing.number == 0;
    }

    // Element i of the one long dim lies at i, whatever the layout.
    bool all_dense() const {
        const std::int64_t batch = 100, count = plan_.count.at(batch);
        for (const std::uint32_t number : {plan_.values, plan_.weights, plan_.result}) {
            const Param& param = kernel_.params[number];
            std::vector<std::int64_t> index(param.dims.size(), 0);
            const auto longest = std::ranges::find(param.dims, plan_.count);
            if (param.dtype != plan_.dtype || longest == param.dims.end()) return false;
            for (std::int64_t i = 0; i < count; ++i) {
                index[static_cast<std::size_t>(longest - param.dims.begin())] = i;
                if (element_offset(param, index, batch) != i) return false;
            }
        }
        return true;
    }

    const Kernel& kernel_;
    RankingPlan plan_;
    AxisId own_ = 0, other_ = 0;
};

// NaN is neither below nor equal to anything.
template <class T>
bool rank(const T* values, const T* weights, T* result, std::int64_t count, double exact) {
    double total = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        if (weights[i] != std::floor(weights[i])) return false;  // NaN and infinity too, or below
        total += static_cast<double>(std::abs(weights[i]));
    }
    if (!(total <= exact)) return false;
    std::vector<std::int64_t> order;
    order.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
        if (values[i] == values[i])
            order.push_back(i);
        else
            result[i] = 0;
    }
    std::ranges::sort(order, {}, [&](std::int64_t i) { return values[i]; });
    T below = 0;
    for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        T equal = 0;
        for (end = begin; end < order.size() && values[order[end]] == values[order[begin]]; ++end)
            equal += weights[order[end]];
        for (std::size_t i = begin; i < end; ++i) result[order[i]] = below + equal / 2;
        below += equal;
    }
    return true;
}

}  // namespace

RankingPlan ranking_of(const Kernel& kernel) { return Matcher(kernel).match(); }

bool run_ranking(const RankingPlan& plan, std::span<std::byte* const> params, std::int64_t batch) {
    const std::int64_t count = plan.count.at(batch);
    if (count < kFew) return false;
    const auto run = [&]<class T>(T, double exact) {
        return rank(reinterpret_cast<const T*>(params[plan.values]),
                    reinterpret_cast<const T*>(params[plan.weights]),
                    reinterpret_cast<T*>(params[plan.result]), count, exact);
    };
    // Halves need a bit more than whole numbers.
    if (plan.dtype == DType::f32) return run(float{}, 0x1p23);
    if (plan.dtype == DType::f64) return run(double{}, 0x1p52);
    return false;
}

}  // namespace netc
