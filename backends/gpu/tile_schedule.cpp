// See the header. The choice of the tile is a model of three lines: a block needs so many cycles a step of the sum,
// for its multiply-adds, for its loads from shared memory, and blocks come in waves of as many as there are
// multiprocessors.
#include "backends/gpu/tile_schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <span>

#include <fmt/format.h>

namespace netc {
namespace {

struct Tile {
    std::int64_t m, n, k, thread_m, thread_n;
};
constexpr std::array kTiles = {
    Tile{128, 128, 16, 8, 8}, Tile{128, 64, 16, 8, 4}, Tile{64, 128, 16, 4, 8},
    Tile{64, 64, 16, 4, 4},   Tile{128, 32, 16, 4, 4}, Tile{32, 128, 16, 4, 4},
    Tile{64, 32, 16, 4, 4},   Tile{32, 64, 16, 4, 4},  Tile{32, 32, 32, 2, 2},
    Tile{64, 16, 16, 4, 1},   Tile{16, 64, 16, 1, 4},  Tile{128, 16, 16, 4, 2},
    Tile{16, 16, 32, 1, 1},   Tile{32, 16, 16, 2, 1},  Tile{16, 32, 16, 1, 2},
    Tile{64, 8, 16, 4, 1},    Tile{8, 64, 16, 1, 4},   Tile{32, 8, 32, 2, 1},
    Tile{8, 32, 32, 1, 2}};

// With a matrix unit, see TileSchedule::warp_m. Steps are those of bf16; of tf32 there are half as many, of as many
// bytes.
constexpr std::array kMatrixTiles = {Tile{128, 128, 32, 8, 16}, Tile{128, 64, 32, 4, 8},
                                     Tile{64, 128, 32, 4, 8},   Tile{64, 64, 32, 4, 8},
                                     Tile{64, 32, 32, 4, 4},    Tile{32, 64, 32, 2, 8},
                                     Tile{32, 32, 32, 2, 4}};

// By warpgroups, each as long as its four warps together.
constexpr std::array kWarpgroupTiles = {Tile{128, 256, 64, 2, 64}, Tile{128, 128, 64, 2, 32},
                                        Tile{64, 128, 64, 2, 32},  Tile{128, 64, 64, 2, 16},
                                        Tile{64, 64, 64, 2, 16},   Tile{64, 32, 64, 2, 8}};

// Multiply-adds a cycle of a multiprocessor's matrix units.
double rate_of(MatrixUnit unit, bool warpgroups) {
    return (unit == MatrixUnit::bf16 ? 1024 : 512) * (warpgroups ? 2 : 1);
}

// Cycles for a step of the sum in all blocks, on all multiprocessors.
double matrix_cycles(const Tile& tile, const TileSchedule& how, double m, double n, double batch) {
    // What a multiprocessor gets from the second cache in a cycle.
    constexpr double kBytes = 48;
    const double element = how.unit == MatrixUnit::bf16 ? 2 : 4;
    const double blocks = batch * std::ceil(m / static_cast<double>(tile.m)) *
                          std::ceil(n / static_cast<double>(tile.n));
    const double multiply =
        static_cast<double>(tile.m * tile.n) / rate_of(how.unit, how.warpgroups);
    const double bring = static_cast<double>(tile.m + tile.n) * element / kBytes;
    // One block alone waits for what it brings; several hide that from each other.
    const double one = multiply + bring + 8;
    const double waves = std::ceil(blocks / kMultiprocessors);
    return waves <= 1 ? one : std::max(one, waves * std::max(multiply, bring));
}

void collect(const Index& index, std::set<AxisId>& axes) {
    for (const IndexTerm& term : index.terms()) {
        if (term.kind == IndexTerm::Kind::axis) {
            axes.insert(term.axis);
        } else {
            collect(term.inner[0], axes);
        }
    }
}

void collect(const Kernel& kernel, ScalarId id, std::set<AxisId>& axes, bool& state, bool& local) {
    const Scalar& scalar = kernel.scalars[id];
    const auto which = static_cast<std::size_t>(scalar.integer);
    if (scalar.op == ScalarOp::state) state = true;
    if (scalar.op == ScalarOp::index) collect(kernel.indices[which], axes);
    if (scalar.op == ScalarOp::read) {
        const Read& read = kernel.reads[which];
        if (read.source.kind == Buffer::Kind::local) local = true;
        for (const Index& index : read.index) collect(index, axes);
        if (read.indirect >= 0) collect(kernel, read.position, axes, state, local);
    }
    for (ScalarId operand : scalar.operands) collect(kernel, operand, axes, state, local);
}

bool has(const std::set<AxisId>& axes, AxisId axis) { return axes.contains(axis); }

// Whether the reads below move by one element with the innermost axis of the sum.
bool along_k(const Kernel& kernel, ScalarId id, AxisId axis, std::int64_t batch) {
    const Scalar& scalar = kernel.scalars[id];
    if (scalar.op == ScalarOp::read) {
        const Read& read = kernel.reads[static_cast<std::size_t>(scalar.integer)];
        if (read.source.kind != Buffer::Kind::param || read.indirect >= 0) return false;
        return std::abs(step_along(kernel.params[read.source.index], read.index, axis, batch)) == 1;
    }
    return std::ranges::any_of(
        scalar.operands, [&](ScalarId operand) { return along_k(kernel, operand, axis, batch); });
}

// Both operands, or none: what threads bring meets them at barriers of the block. Two blocks of three warpgroups
// would leave a thread 80 registers, 10 fewer than 64 sums ask: such blocks keep to two, and fill each other's
// gaps.
std::vector<TileTensor> tensors_of(const Kernel& kernel, const TileSchedule& how,
                                   std::int64_t batch_hint) {
    if (how.multiplying() > TileSchedule::kWarpgroup && how.shares_multiprocessor(batch_hint))
        return {};
    const auto a = tile_tensor(
        kernel, {how.a, &how.m, &how.guards_a, how.block_m, how.block_k, how.a_along_k}, how.batch);
    const auto b = tile_tensor(
        kernel, {how.b, &how.n, &how.guards_b, how.block_n, how.block_k, how.b_along_k}, how.batch);
    if (!a || !b) return {};
    return {*a, *b};
}

double ceil_div(double a, std::int64_t b) {
    return std::max(1.0, std::ceil(a / static_cast<double>(b)));
}

// Cycles for a step of the sum in all blocks, on all multiprocessors.
double cycles(const Tile& tile, double m, double n, double batch) {
    const double blocks = batch * ceil_div(m, tile.m) * ceil_div(n, tile.n);
    const auto warps = static_cast<double>(tile.m / tile.thread_m * (tile.n / tile.thread_n)) / 32;
    const double products = static_cast<double>(tile.thread_m * tile.thread_n);
    const auto words = static_cast<double>(tile.thread_m + tile.thread_n);
    const double multiply = warps * products / 4;
    const double loads = warps * (words / 2 + 1);
    const double bring = static_cast<double>(tile.m + tile.n) / 8;
    // One block alone on a multiprocessor waits between its steps.
    const double one = std::max({multiply, loads, 12.0}) + bring;
    const double waves = std::ceil(blocks / kMultiprocessors);
    const double together = std::max(std::max(multiply, loads) + bring, one / 4);
    return waves <= 1 ? one : std::max(one, waves * together);
}

}  // namespace

std::optional<TileSchedule> tile_schedule(const Kernel& kernel, std::int64_t batch_hint,
                                          const GpuThresholds& thresholds) {
    if (kernel.stages.size() != 1 || !kernel.locals.empty()) return std::nullopt;
    const Stage& stage = kernel.stages[0];
    if (!stage.axes.empty() || !stage.reduction || stage.reduction->states.size() != 1)
        return std::nullopt;
    const Reduction& reduction = *stage.reduction;
    if (reduction.order.kind == OrderKind::lanes || reduction.axes.empty()) return std::nullopt;
    const Scalar& step = kernel.scalars[reduction.step[0]];
    if (step.op != ScalarOp::fma || kernel.scalars[step.operands[2]].op != ScalarOp::state)
        return std::nullopt;
    for (const Store& store : stage.stores)
        if (store.indirect >= 0) return std::nullopt;

    TileSchedule how;
    how.a = step.operands[0];
    how.b = step.operands[1];
    std::array<std::set<AxisId>, 2> axes;
    bool state = false;
    bool local = false;
    collect(kernel, how.a, axes[0], state, local);
    collect(kernel, how.b, axes[1], state, local);
    if (state || local) return std::nullopt;
    const std::vector<int> units = unit_steps(kernel, batch_hint);
    const std::optional<AxisId> fastest = fastest_of(kernel, kernel.outer, units);
    if (!fastest) return std::nullopt;
    // n is what runs along the memory of the result.
    if (has(axes[0], *fastest) && !has(axes[1], *fastest)) {
        std::swap(how.a, how.b);
        std::swap(axes[0], axes[1]);
    }
    // What runs along memory in both is no tile's: neighbouring threads would read apart.
    if (has(axes[0], *fastest) && has(axes[1], *fastest) && units[*fastest] > 0)
        return std::nullopt;
    std::array<std::vector<AxisId>, 3> groups;
    for (AxisId axis : kernel.outer) {
        const bool in_a = has(axes[0], axis);
        const bool in_b = has(axes[1], axis);
        groups[in_a == in_b ? 2 : (in_a ? 0 : 1)].push_back(axis);
    }
    how.m = number_points(kernel, groups[0], units);
    how.n = number_points(kernel, groups[1], units);
    how.batch = number_points(kernel, groups[2], units);
    if (how.m.outer.size() > 1 || how.n.outer.size() > 1) return std::nullopt;

    // What does not exist is a product with zero: of a, or of b where only n is asked.
    for (const Guard& guard : reduction.guards) {
        std::set<AxisId> asked;
        collect(guard.index, asked);
        const auto asks = [&](const std::vector<AxisId>& group) {
            return std::ranges::any_of(group, [&](AxisId axis) { return asked.contains(axis); });
        };
        if (asks(groups[0]) && asks(groups[1])) return std::nullopt;
        // What asks neither alone keeps the reads of both within their buffers.
        if (!asks(groups[1])) how.guards_a.push_back(guard);
        if (!asks(groups[0])) how.guards_b.push_back(guard);
    }
    double terms = 1;
    for (std::size_t k = 0; k < reduction.axes.size(); ++k) {
        const Extent extent = kernel.axes[reduction.axes[k]].extent;
        if (k > 0 && !extent.is_static()) return std::nullopt;
        terms *= static_cast<double>(extent.at(batch_hint));
    }
    const auto m = static_cast<double>(how.m.points(batch_hint));
    const auto n = static_cast<double>(how.n.points(batch_hint));
    const auto batch = static_cast<double>(how.batch.points(batch_hint));
    if (m * n * batch * terms < thresholds.tile_work) return std::nullopt;
    if (thresholds.tile_work > 0 && (m < 8 || n < 8 || terms < 8)) return std::nullopt;

    how.unit = matrix_unit(kernel, reduction, thresholds);
    if (how.unit == MatrixUnit::bf16) {
        how.a = *widened(kernel, how.a);
        how.b = *widened(kernel, how.b);
    }
    // Where each element's step is found by divisions, their places fill the registers of a large tile.
    const Extent innermost = kernel.axes[reduction.axes.back()].extent;
    const bool in_rows = innermost.is_static() && innermost.constant >= 4;
    const auto cost = [&](const Tile& tile) {
        const bool large = tile.m * tile.n > 64 * 64;
        return cycles(tile, m, n, batch) * (large && !in_rows ? 4 : 1);
    };
    how.a_along_k = along_k(kernel, how.a, reduction.axes.back(), batch_hint);
    how.b_along_k = along_k(kernel, how.b, reduction.axes.back(), batch_hint);
    how.warpgroups = how.unit != MatrixUnit::none && thresholds.warpgroups;
    // Whether all of an operand comes in runs of sixteen bytes; else the places of a thread's elements fill its
    // registers.
    const auto in_runs = [&](const Numbering& points, bool along_k) {
        constexpr std::int64_t kRun = 8;
        if (along_k) return innermost.is_static() && innermost.constant % kRun == 0;
        return !points.inner.empty() && points.inner.back().count % kRun == 0;
    };
    const bool runs = in_runs(how.m, how.a_along_k) && in_runs(how.n, how.b_along_k);
    const auto matrix_cost = [&](const Tile& tile) {
        const bool large = tile.m * tile.n > 128 * 64;
        return matrix_cycles(tile, how, m, n, batch) * (large && !runs ? 4 : 1);
    };
    const std::span<const Tile> matrix_tiles =
        how.warpgroups ? std::span<const Tile>(kWarpgroupTiles) : kMatrixTiles;
    const Tile& best = how.unit == MatrixUnit::none
                           ? *std::ranges::min_element(kTiles, {}, cost)
                           : *std::ranges::min_element(matrix_tiles, {}, matrix_cost);
    how.block_m = best.m;
    how.block_n = best.n;
    how.block_k = best.k;
    how.thread_m = best.thread_m;
    how.thread_n = best.thread_n;
    if (how.unit != MatrixUnit::none) {
        if (how.unit == MatrixUnit::tf32) how.block_k /= 2;
        // Half as many where the last ones would be more than half beyond a run of the innermost axis.
        const std::int64_t rest =
            innermost.is_static() ? innermost.constant % how.block_k : std::int64_t{0};
        if (rest > 0 && 2 * rest <= how.block_k) how.block_k /= 2;
        if (how.warpgroups && thresholds.tensor_copies)
            how.tensors = tensors_of(kernel, how, batch_hint);
        return how;
    }
    // Tiles whose steps stay within one run of the innermost axis are found without divisions.
    if (const Extent inner = kernel.axes[reduction.axes.back()].extent; inner.is_static()) {
        std::int64_t k = best.k;
        while (k >= 4 && inner.constant % k != 0) --k;
        if (k >= 4) how.block_k = k;
    }
    return how;
}

namespace {

GridFactor blocks_of(const Numbering& numbering, std::int64_t block) {
    if (numbering.outer.empty()) return {{0, 1}, block, 1, numbering.inner_points};
    return {numbering.outer[0].extent, block, numbering.outer[0].scale, numbering.inner_points};
}

}  // namespace

std::vector<GridFactor> TileSchedule::grid() const {
    std::vector<GridFactor> factors = {blocks_of(m, block_m), blocks_of(n, block_n)};
    for (const Digit& digit : batch.outer) factors.push_back({digit.extent, 1, digit.scale, 1});
    factors.push_back({{0, 1}, 1, 1, batch.inner_points});
    return factors;
}

bool TileSchedule::shares_multiprocessor(std::int64_t batch_hint) const {
    constexpr std::int64_t kSumsOfTwo = 128 * 128;
    std::int64_t blocks = 1;
    for (const GridFactor& factor : grid()) blocks *= factor.at(batch_hint);
    return block_m * block_n <= kSumsOfTwo && blocks > kMultiprocessors;
}

std::string to_text(const TileSchedule& how) {
    const char* const unit = how.unit == MatrixUnit::bf16   ? "bf16 "
                             : how.unit == MatrixUnit::tf32 ? "tf32 "
                                                            : "";
    return unit + std::string(how.warpgroups ? "warpgroup " : "") +
           fmt::format("tile {} x {} of {} threads, {} x {} each, {} at a time{}", how.block_m,
                       how.block_n, how.threads(), how.thread_m, how.thread_n, how.block_k,
                       how.tensors.empty() ? "" : ", copied as boxes of tensors");
}

}  // namespace netc
