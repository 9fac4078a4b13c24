// The model that ranks schedules.
//
// The model counts, for the body that is unrolled, arithmetic and loads after sharing; two of each go through
// a cycle. Accumulators that do not fit in registers, chains too short to hide the latency of a multiply-add,
// gathers, conditions inside of loops and vectors that are not full cost extra. It ranks the tiles that
// design/experiments measured in the order found there.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>

#include "backends/cpu/schedule_chooser.h"
#include "backends/cpu/schedule_queries.h"

namespace netc::choosing {
namespace {

constexpr double kGather = 24;      // of 16 elements, against one load
constexpr double kGatherCode = 20;  // instructions of one, where it is none of its own
constexpr double kEveryOther = 3;   // elements two apart: two loads and a shuffle
constexpr double kScatter = 60;     // the same, of a store
constexpr double kTransposed = 5;   // a vector of a 16 x 16 block that is transposed on its way in
constexpr double kPartBlock = 0.1;  // of that, for each line that is read again
constexpr double kMergeLane =
    10;                         // cycles for each lane of its own, and one for each vector of sums
constexpr double kLatency = 5;  // cycles of a multiply-add, with some delay of its operands
constexpr double kScattered = 1.1;  // of the whole, where results are not stored as vectors
constexpr double kCodeSize = 6000;  // operations whose compiling counts as much as running them,
constexpr double kCompile = 30;     // at most so many cycles each: long kernels are run often

// Cycles for each of so many vectors that are transposed and stored as rows: exchanges, two a cycle, and stores of rows in
// parts of 16, 8, 4, 2 and 1 elements, each with the shuffle that takes it out, one a cycle.
double rows_cost(std::int64_t vectors) {
    const auto columns = static_cast<std::uint64_t>(std::min(vectors, kLanes));
    const auto blocks = static_cast<double>(std::bit_ceil(columns));
    const double parts = std::popcount(columns);
    return (blocks * std::log2(blocks) / 2 + kLanes * parts) / static_cast<double>(columns);
}

}  // namespace

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
    const bool depends = vector && access.depends_on(*vector);
    if (access.indirect) return number * kGather;
    if (!depends) return number;
    if (packed || access.lies_along(*vector) || access.stores_words(*vector, count))
        return number * registers;
    if (access.stored) {
        const std::int64_t rows = access.rows(*vector, count);
        return number * (rows > 1 ? registers * rows_cost(rows) : kScatter);
    }
    if (const auto along = transposed_along(access, *vector, count)) {
        // Of a block that is not full, lines are read again by its neighbours.
        const auto lines = static_cast<double>((count[*along] + kLanes - 1) / kLanes * kLanes);
        return number * registers * kTransposed *
               (1 + kPartBlock * (lines / static_cast<double>(count[*along]) - 1));
    }
    return number * (access.takes_every_other(*vector) ? registers * kEveryOther : kGather);
}

// The axis along which rows are read that are transposed to vectors (KernelEmitter::read_transposed). Not where terms are left
// out: a row of the block may lie outside.
std::optional<AxisId> Chooser::transposed_along(const Access& access, AxisId vector,
                                                const std::vector<std::int64_t>& count) const {
    for (AxisId axis = 0; axis < count.size() && guards_of_main().empty(); ++axis) {
        if (axis != vector && count[axis] >= 4 && access.lies_along(axis)) return axis;
    }
    return std::nullopt;
}

bool Chooser::packable(const Schedule& schedule, std::uint32_t number) const {
    if (!schedule.vector_axis || scatter_) return false;
    const Access& access = reads_[number];
    if (access.local || access.indirect || !access.depends_on(*schedule.vector_axis)) return false;
    double reuse = 1;
    for (const AxisTile& tile : schedule.outer) {
        if (!access.depends_on(tile.axis)) {
            reuse *=
                std::ceil(static_cast<double>(extent(tile.axis)) / static_cast<double>(tile.tile));
        }
    }
    return reuse >= 4 && legal(kernel_, packed(schedule, number)).ok();
}

// Of a sum of products along lanes, the vectors that its unrolled body brings into the first-level cache, at one register a
// cycle: the loop around it goes through more than the cache holds, and what a step shares with the last one is there.
double Chooser::new_vectors(const StageSchedule& how, std::vector<std::int64_t> count) const {
    const AxisId lanes = kernel_.stages[main_].reduction->order.lane_axis;
    const AxisTile& inner = how.reduced.back();
    if (inner.axis == lanes) return 0;
    const std::int64_t now = count[inner.axis];
    count[inner.axis] = std::min(extent(inner.axis), kLanes);
    double vectors = 0, bytes = 0;
    for (std::uint32_t read : stages_[main_].step_reads) {
        if (!reads_[read].depends_on(lanes)) continue;
        vectors += distinct(reads_[read], count, lanes);
        bytes += bytes_of(kernel_.reads[read].source) * static_cast<double>(kLanes) /
                 static_cast<double>(std::max(extent(lanes), kLanes));
    }
    if (bytes <= static_cast<double>(machine_.l1_bytes)) return 0;
    return vectors * static_cast<double>(now) / static_cast<double>(count[inner.axis]);
}

double Chooser::stage_cost(const Schedule& schedule, std::size_t number) const {
    const Stage& stage = kernel_.stages[number];
    const StageInfo& info = stages_[number];
    const StageSchedule& how = schedule.stages[number];
    if (how.matrix_rows) return matrix_cost(schedule, number);
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
        std::vector<std::int64_t> known_count = count;  // with what is unrolled around a loop
        bool in_body = true;
        for (std::size_t i = how.reduced.size(); i-- > 0;) {
            const AxisTile& tile = how.reduced[i];
            const bool lane_axis = lanes && stage.reduction->order.lane_axis == tile.axis;
            const double size = static_cast<double>(extent(tile.axis));
            if (lane_axis) {
                steps *= how.lane_by_lane ? size : std::ceil(size / kLanes);
                in_body = false;
                continue;
            }
            const std::int64_t now = std::min(tile.tile, extent(tile.axis));
            known_count[tile.axis] = now;
            if (!in_body) {
                steps *= size;
                continue;
            }
            step_count[tile.axis] = now;
            unrolled *= static_cast<double>(now);
            steps *= size / static_cast<double>(now);
            in_body = now >= extent(tile.axis);
        }
        const double copies = lanes && !lane_vector && !how.lane_by_lane ? kLanes : 1;
        double loads = 0;
        double vector_loads = 0;
        std::vector<double> vectors;  // different ones of each operand, in a step
        bool shared = false;          // some by several steps
        for (std::uint32_t read : info.step_reads) {
            if (reads_[read].local) {
                loads += 0.5 * distinct(reads_[read], step_count, step_vector) * vector_size;
                continue;
            }
            const bool packed = step_vector && !reads_[read].lies_along(*step_vector) &&
                                reads_[read].depends_on(*step_vector) && packable(schedule, read);
            loads += access_cost(reads_[read], step_vector, step_count, registers, packed) * copies;
            if (step_vector && reads_[read].depends_on(*step_vector)) {
                vectors.push_back(distinct(reads_[read], count, step_vector));
                vector_loads += vectors.back() * registers;
                shared = shared || distinct(reads_[read], step_count, step_vector) <
                                       vectors.back() * unrolled;
            }
        }
        const double arithmetic =
            points * unrolled * copies * std::max(1.0, info.step_work) * vector_size;
        double cycles = std::max(arithmetic, loads) / 2 + 0.3 * std::min(arithmetic, loads) / 2;
        cycles = std::max(cycles, kLatency * unrolled * info.states);
        double held = std::min(vector_loads, 6.0);
        if (number == main_ && lane_vector && vectors.size() == 2 && !sums_columns()) {
            cycles = std::max(cycles, new_vectors(how, step_count) * registers);
            // One operand waits in registers, the other is read where it is needed, unless several steps share it.
            const auto [few, many] = std::ranges::minmax(vectors);
            held = registers * (few + (shared ? many : points > many ? 1 : 0));
        }
        cycles += 1.5;
        const double live = points * copies * info.states * vector_size + held + 1;
        const double spare = static_cast<double>(machine_.vector_registers) - live;
        if (spare < 0) cycles += -spare * 3 * unrolled;
        if (arithmetic > static_cast<double>(kMostBody)) cycles *= 3;
        for (const Guard& guard : stage.reduction->guards) {
            int rolled = 0;
            bool several = false;
            bool vectors = false;
            for (AxisId axis = 0; axis < kernel_.axes.size(); ++axis) {
                if (!guard.index.depends_on(axis)) continue;
                if (known_count[axis] > 1) several = true;
                if (known_count[axis] < extent(axis) && !is_phase(kernel_, axis)) ++rolled;
                if (step_vector == axis) vectors = true;
            }
            if (vectors) cycles *= 1.5;
            if (several && rolled >= 2) cycles = cycles * 1.4 + 2 * unrolled;
        }
        const double merging = how.lane_by_lane ? kLanes * (kMergeLane + points * vector_size)
                               : copies > 1 || lane_vector ? 20 * points
                                                           : 2;
        total += iterations * (steps * cycles + merging);
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

// What is taken together element by element in one step of a sum.
double Chooser::gather_code(const Schedule& schedule, std::size_t stage,
                            const std::vector<std::int64_t>& count) const {
    const auto& vector =
        schedule.vector_axis ? schedule.vector_axis : schedule.stages[stage].vector_axis;
    if (!vector || machine_.avx512) return 0;
    std::vector<std::int64_t> unrolled = count;  // at most
    for (const AxisTile& tile : schedule.stages[stage].reduced)
        unrolled[tile.axis] = extent(tile.axis);
    double gathers = 0;
    for (const std::uint32_t number : stages_[stage].step_reads) {
        const Access& access = reads_[number];
        if (!access.local && access.depends_on(*vector) && !access.lies_along(*vector) &&
            !access.takes_every_other(*vector) && !transposed_along(access, *vector, unrolled) &&
            !packable(schedule, number))
            gathers += distinct(access, count, vector);
    }
    return gathers * kGatherCode / static_cast<double>(machine_.registers_per_vector());
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
    std::vector<std::int64_t> count(kernel_.axes.size(), 1);
    for (const AxisTile& tile : schedule.outer) count[tile.axis] = tile.tile;
    for (std::size_t s = 0; s < kernel_.stages.size(); ++s) {
        double points = 1;
        for (const AxisTile& tile : schedule.outer) points *= static_cast<double>(tile.tile);
        for (const AxisTile& tile : schedule.stages[s].own)
            points *= static_cast<double>(tile.tile);
        double unrolled = 1;
        std::vector<std::int64_t> step_count = count;
        for (const AxisTile& tile : schedule.stages[s].own) step_count[tile.axis] = tile.tile;
        for (const AxisTile& tile : schedule.stages[s].reduced) {
            unrolled *= static_cast<double>(tile.tile);
            step_count[tile.axis] = tile.tile;
        }
        double stored = 0;
        for (const Access& store : stores_[s]) {
            const auto& vector = schedule.vector_axis;
            const bool scatters = vector && !store.local && !store.lies_along(*vector);
            stored += !scatters ? 1 : store.rows(*vector, count) > 1 ? 8 : 20;
        }
        sum += points * (unrolled * stages_[s].step_work + stages_[s].post_work + stored +
                         static_cast<double>(stages_[s].post_reads.size())) +
               gather_code(schedule, s, step_count);
    }
    return sum * copies * static_cast<double>(machine_.registers_per_vector());
}

const std::vector<Guard>& Chooser::guards_of_main() const {
    static const std::vector<Guard> none;
    const auto& reduction = kernel_.stages[main_].reduction;
    return reduction ? reduction->guards : none;
}

double Chooser::cost(const Schedule& schedule, bool main_only) const {
    double cycles = 0;
    for (std::size_t i = 0; i < kernel_.stages.size(); ++i) {
        if (i == main_ || !main_only) cycles += stage_cost(schedule, i);
    }
    // What is stored in pieces of lines costs other lines their place.
    const auto& vector = schedule.vector_axis;
    for (const Access& store : stores_[main_]) {
        if (vector && !store.local && !store.lies_along(*vector)) cycles *= kScattered;
    }
    const double code = code_size(schedule);
    return cycles * (1 + std::min(code / kCodeSize, code * kCompile / cycles));
}

}  // namespace netc::choosing
