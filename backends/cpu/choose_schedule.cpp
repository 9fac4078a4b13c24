// Chooses a schedule: tries vector axes and register tiles, and takes what a simple model says is fastest.
//
// The model counts, for the body that is unrolled, arithmetic and loads after sharing; two of each go through
// a cycle. Accumulators that do not fit in registers, chains too short to hide the latency of a multiply-add,
// gathers, conditions inside of loops and vectors that are not full cost extra. It ranks the tiles that
// design/experiments measured in the order found there.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "backends/cpu/schedule.h"

namespace netc {
namespace {

constexpr double kGather = 24;      // of 16 elements, against one load
constexpr double kTransposed = 5;   // a vector of a 16 x 16 block that is transposed
constexpr double kLatency = 4;      // cycles of a multiply-add
constexpr double kCodeSize = 6000;  // operations whose compiling counts as much as running them
constexpr std::int64_t kMostBody = 280;  // operations in a body: more compile too slowly

// How a read or a store lies in memory, as far as the model knows.
struct Access {
    std::vector<std::vector<std::pair<AxisId, std::int64_t>>>
        dims;                          // axes and coefficients of each index
    std::vector<std::int64_t> stride;  // of each axis, elements; 0: does not depend
    std::vector<bool> known;           // whether the stride is known
    std::uint64_t axes = 0;
    bool local = false;
    bool indirect = false;
};

struct StageInfo {
    std::vector<std::uint32_t> step_reads, post_reads;
    double step_work = 0, post_work = 0;
    double states = 0;
    std::int64_t element_size = 4;
    double work = 0;
};

class Chooser {
public:
    Chooser(const Kernel& kernel, const Machine& machine, std::int64_t hint)
        : kernel_(kernel), machine_(machine), hint_(std::max<std::int64_t>(1, hint)) {
        describe();
    }
    Schedule choose();

private:
    void describe();
    Access access_of(const Buffer& buffer, const std::vector<Index>& index, bool indirect) const;
    std::int64_t extent(AxisId axis) const { return kernel_.axes[axis].extent.at(hint_); }
    double cost(const Schedule& schedule, bool main_only) const;
    double code_size(const Schedule& schedule) const;
    const std::vector<Guard>& guards_of_main() const;
    double stage_cost(const Schedule& schedule, std::size_t stage) const;
    double access_cost(const Access& access, const std::optional<AxisId>& vector,
                       const std::vector<std::int64_t>& count, double registers, bool packed) const;
    double distinct(const Access& access, const std::vector<std::int64_t>& count,
                    const std::optional<AxisId>& vector) const;
    bool packable(const Schedule& schedule, std::uint32_t read) const;
    void fill_stages(Schedule& schedule, bool own_all, std::int64_t reduced_unroll) const;
    void consider(Schedule schedule, bool thorough);
    void try_tiles(const std::optional<AxisId>& vector, bool lane);
    void finish(Schedule& schedule) const;

    const Kernel& kernel_;
    const Machine& machine_;
    std::int64_t hint_;
    std::vector<Access> reads_;
    std::vector<std::vector<Access>> stores_;
    std::vector<StageInfo> stages_;
    std::size_t main_ = 0;
    bool scatter_ = false;
    std::vector<std::pair<double, Schedule>> best_;
};

void collect_axes(const Index& index, std::uint64_t& axes) {
    for (const IndexTerm& term : index.terms()) {
        if (term.kind == IndexTerm::Kind::axis) {
            axes |= std::uint64_t{1} << term.axis;
        } else {
            collect_axes(term.inner[0], axes);
        }
    }
}

Access Chooser::access_of(const Buffer& buffer, const std::vector<Index>& index,
                          bool indirect) const {
    Access access;
    access.local = buffer.kind == Buffer::Kind::local;
    access.indirect = indirect;
    access.stride.assign(kernel_.axes.size(), 0);
    access.known.assign(kernel_.axes.size(), true);
    std::vector<std::int64_t> strides(index.size(), 1);
    bool lanes = false;
    if (access.local) {
        const Local& local = kernel_.locals[buffer.index];
        std::int64_t stride = 1;
        for (std::size_t d = index.size(); d-- > 0;) {
            strides[d] = stride;
            stride *= local.dims[d];
        }
    } else {
        const Param& param = kernel_.params[buffer.index];
        lanes = param.layout.lanes;
        std::int64_t stride = lanes ? kLanes : 1;
        for (std::size_t i = param.layout.order.size(); i-- > 0;) {
            const auto d = static_cast<std::size_t>(param.layout.order[i]);
            strides[d] = stride;
            stride *= param.dims[d].at(hint_);
            if (i + 1 == param.layout.order.size()) stride += param.layout.extra;
        }
    }
    for (std::size_t d = 0; d < index.size(); ++d) {
        std::uint64_t axes = 0;
        collect_axes(index[d], axes);
        access.axes |= axes;
        access.dims.emplace_back();
        for (AxisId axis = 0; axis < kernel_.axes.size(); ++axis) {
            if (((axes >> axis) & 1) == 0) continue;
            const auto coefficient = index[d].coefficient(axis);
            access.dims.back().push_back({axis, coefficient.value_or(1)});
            if (lanes && d == 0) {
                access.stride[axis] = 1;
                access.known[axis] = index[d].is_axis(axis);
            } else {
                access.stride[axis] += coefficient.value_or(1) * strides[d];
                access.known[axis] = access.known[axis] && coefficient.has_value();
            }
        }
    }
    return access;
}

void Chooser::describe() {
    for (const Read& read : kernel_.reads)
        reads_.push_back(access_of(read.source, read.index, read.indirect >= 0));
    for (const Stage& stage : kernel_.stages) {
        stores_.emplace_back();
        StageInfo info;
        for (const Store& store : stage.stores) {
            stores_.back().push_back(access_of(store.target, store.index, store.indirect >= 0));
            scatter_ = scatter_ || store.indirect >= 0;
        }
        std::vector<bool> seen;
        const auto walk = [&](ScalarId root, std::vector<std::uint32_t>& found) {
            double work = 0;
            std::vector<ScalarId> open{root};
            while (!open.empty()) {
                const ScalarId id = open.back();
                open.pop_back();
                if (id == kNoScalar || seen[id]) continue;
                seen[id] = true;
                const Scalar& scalar = kernel_.scalars[id];
                if (scalar.op == ScalarOp::read) {
                    const auto number = static_cast<std::uint32_t>(scalar.integer);
                    found.push_back(number);
                    if (kernel_.reads[number].indirect >= 0)
                        open.push_back(kernel_.reads[number].position);
                }
                if (scalar.op == ScalarOp::div || scalar.op == ScalarOp::sqrt) work += 8;
                if (scalar.op == ScalarOp::philox) work += 80;
                if (!scalar.operands.empty()) work += 1;
                open.insert(open.end(), scalar.operands.begin(), scalar.operands.end());
            }
            return work;
        };
        seen.assign(kernel_.scalars.size(), false);
        for (const Store& store : stage.stores) {
            info.post_work += walk(store.value, info.post_reads);
            if (store.indirect >= 0) info.post_work += walk(store.position, info.post_reads);
        }
        if (stage.reduction) {
            seen.assign(kernel_.scalars.size(), false);
            for (ScalarId id : stage.reduction->step) info.step_work += walk(id, info.step_reads);
            info.states = static_cast<double>(stage.reduction->states.size());
            info.element_size = size_of(stage.reduction->states[0].dtype);
        }
        double points = 1;
        for (AxisId axis : kernel_.outer) points *= static_cast<double>(extent(axis));
        for (AxisId axis : stage.axes) points *= static_cast<double>(extent(axis));
        info.work = points * (info.post_work + 1);
        if (stage.reduction) {
            for (AxisId axis : stage.reduction->axes) points *= static_cast<double>(extent(axis));
            info.work += points * (info.step_work + 0.5);
        }
        stages_.push_back(info);
        if (info.work > stages_[main_].work) main_ = stages_.size() - 1;
    }
}

// Different elements (or vectors) that the unrolled points read.
double Chooser::distinct(const Access& access, const std::vector<std::int64_t>& count,
                         const std::optional<AxisId>& vector) const {
    double product = 1;
    for (const auto& dim : access.dims) {
        std::int64_t several = 0;
        double plain = 1;
        for (const auto& [axis, coefficient] : dim) {
            if (count[axis] > 1) ++several;
            plain *= static_cast<double>(count[axis]);
        }
        if (several < 2) {
            product *= plain;
            continue;
        }
        std::array<bool, 256> found{};
        std::vector<std::int64_t> sums{0};
        for (const auto& [axis, coefficient] : dim) {
            std::vector<std::int64_t> next;
            const std::int64_t step = coefficient * (vector == axis ? kLanes : 1);
            for (std::int64_t sum : sums) {
                for (std::int64_t i = 0; i < count[axis]; ++i) next.push_back(sum + i * step);
            }
            sums = std::move(next);
        }
        double different = 0;
        for (std::int64_t sum : sums) {
            bool& here = found[static_cast<std::size_t>(sum & 255)];
            if (!here) different += 1;
            here = true;
        }
        product *= different;
    }
    return product;
}

double Chooser::access_cost(const Access& access, const std::optional<AxisId>& vector,
                            const std::vector<std::int64_t>& count, double registers,
                            bool packed) const {
    const double number = distinct(access, count, vector);
    const bool depends = vector && ((access.axes >> *vector) & 1) != 0;
    if (access.indirect) return number * kGather;
    if (!depends) return number;
    if (packed || (access.known[*vector] && access.stride[*vector] == 1)) return number * registers;
    for (AxisId axis = 0; axis < count.size(); ++axis) {
        if (axis != *vector && count[axis] >= 4 && access.known[axis] && access.stride[axis] == 1) {
            return number * registers * kTransposed;
        }
    }
    return number * kGather;
}

bool Chooser::packable(const Schedule& schedule, std::uint32_t number) const {
    if (!schedule.vector_axis || scatter_) return false;
    const Access& access = reads_[number];
    if (access.local || access.indirect || ((access.axes >> *schedule.vector_axis) & 1) == 0)
        return false;
    double reuse = 1;
    for (const AxisTile& tile : schedule.outer) {
        if (tile.axis != *schedule.vector_axis) {
            reuse *=
                std::ceil(static_cast<double>(extent(tile.axis)) / static_cast<double>(tile.tile));
        }
    }
    if (reuse < 4) return false;
    Schedule tried = schedule;
    std::stable_partition(tried.outer.begin(), tried.outer.end(),
                          [&](const AxisTile& tile) { return tile.axis == *schedule.vector_axis; });
    tried.packs = {{number, 1}};
    return legal(kernel_, tried).ok();
}

double Chooser::stage_cost(const Schedule& schedule, std::size_t number) const {
    const Stage& stage = kernel_.stages[number];
    const StageInfo& info = stages_[number];
    const StageSchedule& how = schedule.stages[number];
    const bool lanes = stage.reduction && stage.reduction->order.kind == OrderKind::lanes;
    const std::optional<AxisId> step_vector =
        schedule.vector_axis ? schedule.vector_axis : how.vector_axis;
    const bool lane_vector = lanes && step_vector == stage.reduction->order.lane_axis;
    const std::optional<AxisId> post_vector = lane_vector ? std::nullopt : step_vector;
    const double registers = static_cast<double>(machine_.registers_per_vector() *
                                                 std::max<std::int64_t>(1, info.element_size / 4));
    std::vector<std::int64_t> count(kernel_.axes.size(), 1);
    double iterations = 1;
    double points = 1;
    const auto take = [&](const AxisTile& tile) {
        const std::int64_t unit = step_vector == tile.axis ? kLanes : 1;
        const std::int64_t size = extent(tile.axis);
        const std::int64_t units = (size + unit - 1) / unit;
        const std::int64_t now = std::min(tile.tile, units);
        count[tile.axis] = now;
        points *= static_cast<double>(now);
        if (kernel_.axes[tile.axis].extent.is_static()) {
            const double tiles = std::ceil(static_cast<double>(units) / static_cast<double>(now));
            // Even splits: the average tile is a little smaller.
            iterations *= 0.5 * tiles + 0.5 * static_cast<double>(units) / static_cast<double>(now);
        } else {
            const std::int64_t full = size / (unit * now);
            const std::int64_t rest = (size - full * unit * now + unit - 1) / unit;
            iterations *= static_cast<double>(full) +
                          static_cast<double>(rest) * std::max(0.4, 1.0 / static_cast<double>(now));
        }
    };
    for (const AxisTile& tile : schedule.outer) take(tile);
    for (const AxisTile& tile : how.own) take(tile);
    const double vector_size = step_vector ? registers : 1;
    double total = 0;
    if (stage.reduction) {
        double steps = 1;
        double unrolled = 1;
        std::vector<std::int64_t> step_count = count;
        for (const AxisTile& tile : how.reduced) {
            const bool lane_axis = lanes && stage.reduction->order.lane_axis == tile.axis;
            const double size = static_cast<double>(extent(tile.axis));
            if (lane_axis) {
                steps *= std::ceil(size / kLanes);
            } else {
                const std::int64_t now = std::min(tile.tile, extent(tile.axis));
                step_count[tile.axis] = now;
                unrolled *= static_cast<double>(now);
                steps *= std::ceil(size / static_cast<double>(now));
            }
        }
        const double copies = lanes && !lane_vector ? kLanes : 1;
        double loads = 0;
        double vector_loads = 0;
        for (std::uint32_t read : info.step_reads) {
            if (reads_[read].local) {
                loads += 0.5 * distinct(reads_[read], step_count, step_vector) * vector_size;
                continue;
            }
            const bool packed =
                step_vector &&
                !(reads_[read].known[*step_vector] && reads_[read].stride[*step_vector] <= 1) &&
                packable(schedule, read);
            loads += access_cost(reads_[read], step_vector, step_count, registers, packed) * copies;
            if (step_vector && ((reads_[read].axes >> *step_vector) & 1) != 0) {
                vector_loads += distinct(reads_[read], count, step_vector) * registers;
            }
        }
        const double arithmetic =
            points * unrolled * copies * std::max(1.0, info.step_work) * vector_size;
        double cycles = std::max(arithmetic, loads) / 2 + 0.3 * std::min(arithmetic, loads) / 2;
        cycles = std::max(cycles, kLatency * unrolled * info.states);
        cycles += 1.5;
        const double live =
            points * copies * info.states * vector_size + std::min(vector_loads, 6.0) + 1;
        const double spare = static_cast<double>(machine_.vector_registers) - live;
        if (spare < 0) cycles += -spare * 3 * unrolled;
        if (arithmetic > static_cast<double>(kMostBody)) cycles *= 3;
        for (const Guard& guard : stage.reduction->guards) {
            int rolled = 0;
            bool several = false;
            bool vectors = false;
            for (AxisId axis = 0; axis < kernel_.axes.size(); ++axis) {
                if (!guard.index.depends_on(axis)) continue;
                if (step_count[axis] > 1) several = true;
                if (step_count[axis] < extent(axis)) ++rolled;
                if (step_vector == axis) vectors = true;
            }
            if (vectors) cycles *= 1.5;
            if (several && rolled >= 2) cycles = cycles * 1.4 + 2 * unrolled;
        }
        total += iterations * steps * cycles +
                 iterations * (copies > 1 || lane_vector ? 20 * points : 2);
    }
    double post = points * info.post_work * (post_vector ? registers : 1) / 2;
    for (std::uint32_t read : info.post_reads) {
        if (!reads_[read].local)
            post += access_cost(reads_[read], post_vector, count, registers, false) / 2;
    }
    for (const Access& store : stores_[number]) {
        if (store.local) {
            post += 0.5 * points;
        } else {
            post += access_cost(store, post_vector, count, registers, false);
        }
    }
    return total + iterations * (post + 2);
}

// Operations in the function, with all copies of its bodies: what compiling takes.
double Chooser::code_size(const Schedule& schedule) const {
    double copies = 1;
    for (const AxisTile& tile : schedule.outer) {
        const bool vector = schedule.vector_axis == tile.axis;
        const Extent size = kernel_.axes[tile.axis].extent;
        const double part = 1.0 / static_cast<double>(tile.tile);
        const std::int64_t units =
            vector ? (extent(tile.axis) + kLanes - 1) / kLanes : extent(tile.axis);
        if (!size.is_static()) {
            if (tile.tile > 1) copies *= 1 + part;
        } else {
            if (units % tile.tile != 0) copies *= 2 - part;
            if (vector && size.constant % kLanes != 0) copies += 1;
        }
        // Borders cut a loop into three.
        for (const Guard& guard : guards_of_main()) {
            if (guard.index.depends_on(tile.axis) && units > tile.tile && !vector) {
                copies *= tile.tile > 1 ? 3 : 1;
                break;
            }
        }
    }
    double sum = 0;
    for (std::size_t s = 0; s < kernel_.stages.size(); ++s) {
        double points = 1;
        for (const AxisTile& tile : schedule.outer) points *= static_cast<double>(tile.tile);
        for (const AxisTile& tile : schedule.stages[s].own)
            points *= static_cast<double>(tile.tile);
        double unrolled = 1;
        for (const AxisTile& tile : schedule.stages[s].reduced)
            unrolled *= static_cast<double>(tile.tile);
        double stored = 0;
        for (const Access& store : stores_[s]) {
            const auto& vector = schedule.vector_axis;
            const bool scatters =
                vector && !store.local && !(store.known[*vector] && store.stride[*vector] == 1);
            stored += scatters ? 20 : 1;
        }
        sum += points * (unrolled * stages_[s].step_work + stages_[s].post_work + stored +
                         static_cast<double>(stages_[s].post_reads.size()));
    }
    return sum * copies * static_cast<double>(machine_.registers_per_vector());
}

const std::vector<Guard>& Chooser::guards_of_main() const {
    static const std::vector<Guard> none;
    const auto& reduction = kernel_.stages[main_].reduction;
    return reduction ? reduction->guards : none;
}

double Chooser::cost(const Schedule& schedule, bool main_only) const {
    const double compile = 1 + code_size(schedule) / kCodeSize;
    if (main_only) return stage_cost(schedule, main_) * compile;
    double sum = 0;
    for (std::size_t i = 0; i < kernel_.stages.size(); ++i) sum += stage_cost(schedule, i);
    return sum * compile;
}

// Own and reduced axes: small ones are unrolled, `own_all` those of the main stage too.
void Chooser::fill_stages(Schedule& schedule, bool own_all, std::int64_t reduced_unroll) const {
    std::int64_t outer_points = 1;
    for (const AxisTile& tile : schedule.outer) outer_points *= tile.tile;
    for (std::size_t s = 0; s < kernel_.stages.size(); ++s) {
        const Stage& stage = kernel_.stages[s];
        StageSchedule& how = schedule.stages[s];
        std::int64_t points = outer_points;
        for (std::size_t i = how.own.size(); i-- > 0;) {
            AxisTile& tile = how.own[i];
            if (how.vector_axis == tile.axis) continue;
            tile.tile = 1;
            const Extent size = kernel_.axes[tile.axis].extent;
            const std::int64_t most = s == main_ ? 32 : 64;
            if (!size.is_static() || points * size.constant > most || scatter_) continue;
            if (s == main_ && !own_all && i + 1 < how.own.size()) continue;
            tile.tile = size.constant;
            points *= size.constant;
        }
        if (!stage.reduction) continue;
        const Order& order = stage.reduction->order;
        const bool copies = order.kind == OrderKind::lanes && how.vector_axis != order.lane_axis;
        std::int64_t body =
            points * (copies ? kLanes : 1) *
            std::max<std::int64_t>(1, static_cast<std::int64_t>(stages_[s].step_work));
        for (std::size_t i = how.reduced.size(); i-- > 0;) {
            AxisTile& tile = how.reduced[i];
            tile.tile = 1;
            const bool special = (order.kind == OrderKind::lanes && order.lane_axis == tile.axis) ||
                                 (order.kind == OrderKind::blocked && i == 0);
            if (special) continue;
            const Extent size = kernel_.axes[tile.axis].extent;
            const std::int64_t limit = kMostBody / 2;
            if (size.is_static() && size.constant <= 16 && body * size.constant <= limit &&
                (s != main_ || reduced_unroll > 1)) {
                tile.tile = size.constant;
                body *= size.constant;
                continue;
            }
            // Only the innermost loop is unrolled in part.
            if (i + 1 == how.reduced.size() && stage.reduction->guards.empty()) {
                while (tile.tile < reduced_unroll && body * 2 <= limit) {
                    tile.tile *= 2;
                    body *= 2;
                }
                if (size.is_static() && tile.tile > size.constant) tile.tile = 1;
            }
            break;
        }
    }
}

void Chooser::consider(Schedule schedule, bool thorough) {
    if (!legal(kernel_, schedule)) return;
    const double value = cost(schedule, !thorough);
    best_.push_back({value, std::move(schedule)});
    std::sort(best_.begin(), best_.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    if (best_.size() > 6) best_.pop_back();
}

// Tiles for one choice of the vector axis: an outer one, or (`lane`) the main stage's lanes.
void Chooser::try_tiles(const std::optional<AxisId>& vector, bool lane) {
    Schedule base = plain_schedule(kernel_);
    if (vector && !lane) base.vector_axis = vector;
    for (std::size_t s = 0; s < kernel_.stages.size() && !base.vector_axis; ++s) {
        const Stage& stage = kernel_.stages[s];
        if (stage.reduction && stage.reduction->order.kind == OrderKind::lanes) {
            base.stages[s].vector_axis = stage.reduction->order.lane_axis;
            continue;
        }
        double best = 1e300;
        for (AxisId axis : stage.axes) {
            if (extent(axis) < 4) continue;
            Schedule tried = base;
            tried.stages[s].vector_axis = axis;
            if (!legal(kernel_, tried)) continue;
            const double value = stage_cost(tried, s);
            if (value < best && value < stage_cost(base, s)) {
                best = value;
                base.stages[s].vector_axis = axis;
            }
        }
    }
    const bool reduces = kernel_.stages[main_].reduction.has_value();
    const std::int64_t registers = machine_.registers_per_vector();
    const std::int64_t most = machine_.vector_registers - (machine_.vector_registers > 16 ? 4 : 3);
    const std::int64_t most_vectors = base.vector_axis ? 4 : 1;
    constexpr std::array<std::int64_t, 14> kTiles{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 16};
    const auto set_tile = [](Schedule& schedule, AxisId axis, std::int64_t tile) {
        for (AxisTile& one : schedule.outer) {
            if (one.axis == axis) one.tile = tile;
        }
    };
    for (std::int64_t vectors = 1; vectors <= most_vectors; ++vectors) {
        if (base.vector_axis && vectors > 1 &&
            (extent(*base.vector_axis) + kLanes - 1) / kLanes < vectors)
            break;
        Schedule wide = base;
        if (base.vector_axis) set_tile(wide, *base.vector_axis, vectors);
        std::vector<AxisId> others;
        for (AxisId axis : kernel_.outer) {
            if (base.vector_axis != axis) others.push_back(axis);
        }
        const auto leaf = [&](const Schedule& tiled) {
            Schedule filled = tiled;
            fill_stages(filled, true, 4);
            consider(std::move(filled), false);
        };
        leaf(wide);
        if (scatter_) continue;
        for (std::size_t i = 0; i < others.size(); ++i) {
            for (std::int64_t first : kTiles) {
                if (first == 1 || first > extent(others[i])) continue;
                if (first * vectors * registers > most && (reduces || first > 16)) break;
                Schedule tiled = wide;
                set_tile(tiled, others[i], first);
                leaf(tiled);
                if (!reduces) continue;
                for (std::size_t j = 0; j < others.size(); ++j) {
                    if (j == i) continue;
                    const std::int64_t size = extent(others[j]);
                    for (std::int64_t second : {std::int64_t{2}, std::int64_t{3}, size}) {
                        if (second < 2 || second > size || second > 7) continue;
                        if (first * second * vectors * registers > most) continue;
                        Schedule both = tiled;
                        set_tile(both, others[j], second);
                        leaf(both);
                    }
                }
            }
        }
    }
}

// Loop order and packed copies.
void Chooser::finish(Schedule& schedule) const {
    if (scatter_ || !schedule.vector_axis) return;
    const bool reduces = kernel_.stages[main_].reduction.has_value();
    if (!reduces) return;
    std::stable_partition(schedule.outer.begin(), schedule.outer.end(),
                          [&](const AxisTile& tile) { return tile.axis == *schedule.vector_axis; });
    const AxisId vector = *schedule.vector_axis;
    for (std::uint32_t read : stages_[main_].step_reads) {
        const Access& access = reads_[read];
        if (!packable(schedule, read)) continue;
        const bool contiguous = access.known[vector] && access.stride[vector] == 1;
        bool aliases = false;
        for (AxisId axis : kernel_.stages[main_].reduction->axes) {
            aliases = aliases || (access.known[axis] && access.stride[axis] % 512 == 0 &&
                                  access.stride[axis] > 0 && extent(axis) >= 128);
        }
        if (contiguous && !aliases) continue;
        Schedule tried = schedule;
        tried.packs.push_back({read, 1});
        if (legal(kernel_, tried)) schedule = tried;
    }
}

Schedule Chooser::choose() {
    for (AxisId axis : kernel_.outer) {
        if (extent(axis) >= 2 || !kernel_.axes[axis].extent.is_static()) try_tiles(axis, false);
    }
    try_tiles(std::nullopt, true);
    if (best_.empty()) return plain_schedule(kernel_);
    auto candidates = std::move(best_);
    best_.clear();
    for (const auto& [value, candidate] : candidates) {
        for (const bool own_all : {true, false}) {
            for (const std::int64_t unroll : {std::int64_t{1}, std::int64_t{4}}) {
                Schedule tried = candidate;
                fill_stages(tried, own_all, unroll);
                consider(std::move(tried), true);
            }
        }
        consider(candidate, true);
    }
    Schedule chosen = best_.front().second;
    finish(chosen);
    return chosen;
}

}  // namespace

Schedule schedule(const Kernel& kernel, const Machine& machine, std::int64_t batch_hint) {
    if (kernel.stages.empty() || kernel.axes.size() > 64) return plain_schedule(kernel);
    return Chooser(kernel, machine, batch_hint).choose();
}

}  // namespace netc
