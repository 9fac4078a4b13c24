#include "cli/cost.h"

#include <algorithm>
#include <vector>

namespace netc {
namespace {

bool is_contraction(const Kernel& kernel, const Reduction& reduction) {
    if (reduction.step.size() != 1) return false;
    const Scalar& step = kernel.scalars[reduction.step[0]];
    return step.op == ScalarOp::fma && kernel.scalars[step.operands[2]].op == ScalarOp::state;
}

bool holds(const Guard& guard, const std::vector<std::int64_t>& point, std::int64_t batch) {
    const std::int64_t index = guard.index.evaluate([&](AxisId axis) { return point[axis]; });
    return index >= 0 && index % guard.divisor == 0 &&
           index / guard.divisor < guard.limit.at(batch);
}

// Axes that guards tie to each other, with the guards.
struct Tied {
    std::vector<AxisId> axes;
    std::vector<const Guard*> guards;
};

std::vector<Tied> tied_axes(const std::vector<AxisId>& axes, const std::vector<Guard>& guards) {
    std::vector<Tied> all;
    for (const AxisId axis : axes) all.push_back({{axis}, {}});
    for (const Guard& guard : guards) {
        Tied joined{{}, {&guard}};
        std::erase_if(all, [&](const Tied& part) {
            const bool tied = std::ranges::any_of(
                part.axes, [&](AxisId axis) { return guard.index.depends_on(axis); });
            if (!tied) return false;
            joined.axes.insert(joined.axes.end(), part.axes.begin(), part.axes.end());
            joined.guards.insert(joined.guards.end(), part.guards.begin(), part.guards.end());
            return true;
        });
        all.push_back(std::move(joined));
    }
    return all;
}

// Points of the axes at which all guards hold, by visiting each.
double count_points(const Kernel& kernel, const Tied& part, std::int64_t batch) {
    double all = 1;
    for (const AxisId axis : part.axes) {
        all *= static_cast<double>(kernel.axes[axis].extent.at(batch));
    }
    if (part.guards.empty() || all == 0) return all;
    std::vector<std::int64_t> point(kernel.axes.size(), 0);
    double count = 0;
    for (bool more = true; more;) {
        if (std::ranges::all_of(part.guards,
                                [&](const Guard* guard) { return holds(*guard, point, batch); })) {
            count += 1;
        }
        more = false;
        for (const AxisId axis : part.axes) {
            more = ++point[axis] < kernel.axes[axis].extent.at(batch);
            if (more) break;
            point[axis] = 0;
        }
    }
    return count;
}

}  // namespace

double contraction_flops(const Kernel& kernel, std::int64_t batch) {
    double total = 0;
    for (const Stage& stage : kernel.stages) {
        if (!stage.reduction || !is_contraction(kernel, *stage.reduction)) continue;
        std::vector<AxisId> axes = kernel.outer;
        axes.insert(axes.end(), stage.axes.begin(), stage.axes.end());
        axes.insert(axes.end(), stage.reduction->axes.begin(), stage.reduction->axes.end());
        double points = 2;
        for (const Tied& part : tied_axes(axes, stage.reduction->guards)) {
            points *= count_points(kernel, part, batch);
        }
        total += points;
    }
    return total;
}

double contraction_flops(const Program& program, const Entry& entry, std::int64_t batch) {
    double total = 0;
    for (std::size_t c = 0; c < entry.calls.size(); ++c) {
        total += static_cast<double>(times_called(entry, c)) *
                 contraction_flops(program.kernels[entry.calls[c].kernel], batch);
    }
    return total;
}

double traffic_bytes(const Kernel& kernel, std::int64_t batch) {
    double total = 0;
    for (const Param& param : kernel.params) {
        const double bytes =
            static_cast<double>(element_count(param, batch) * size_of(param.dtype));
        total += param.direction == Direction::inout ? 2 * bytes : bytes;
    }
    return total;
}

}  // namespace netc
