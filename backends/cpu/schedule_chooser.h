// Choosing a schedule: what describes a kernel to the model (describe_kernel.cpp), the model (schedule_cost.cpp), the
// search. Private to these, choose_schedule.cpp, which searches tiles, choose_matrices.cpp, for sums by matrix units,
// and choose_loops.cpp, which orders the loops around the tiles.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "backends/cpu/matrix_sum.h"
#include "backends/cpu/schedule.h"

namespace netc::choosing {

inline constexpr std::int64_t kMostTaps = 7;    // of an axis that is unrolled around a loop
inline constexpr std::int64_t kMostBody = 280;  // operations in a body: more compile too slowly

// How a read or a store lies in memory, as far as the model knows.
struct Access {
    std::vector<std::vector<std::pair<AxisId, std::int64_t>>>
        dims;                          // axes and coefficients of each index
    std::vector<std::int64_t> stride;  // of each axis, elements; 0: does not depend
    std::vector<bool> known;           // whether the stride is known
    std::uint64_t axes = 0;
    bool local = false;
    bool indirect = false;
    bool stored = false;
    std::int64_t in_word =
        1;  // numbers in 32 bits, where they are multiplied together (emit_dot.cpp)

    bool depends_on(AxisId axis) const { return ((axes >> axis) & 1) != 0; }
    // Vectors along the axis are loads and stores; of parts of words also where those lie as words.
    bool lies_along(AxisId axis) const {
        return known[axis] && (stride[axis] == 1 || (!stored && stride[axis] == in_word));
    }
    // Vectors are made of two loads (KernelEmitter::load_every_other).
    bool takes_every_other(AxisId axis) const {
        return known[axis] && stride[axis] == 2 && !local && !stored;
    }
    // Parts of words are stored as words where a tile has all of them (KernelEmitter::joins_word).
    bool stores_words(AxisId axis, const std::vector<std::int64_t>& tile) const {
        if (!stored || in_word == 1 || !known[axis] || stride[axis] != in_word) return false;
        for (AxisId other = 0; other < tile.size(); ++other) {
            if (stride[other] == 1 && tile[other] == in_word) return true;
        }
        return false;
    }
    // Elements of a tile that lie side by side across its vectors: they are stored as rows (KernelEmitter::store_rows).
    std::int64_t rows(AxisId vector, const std::vector<std::int64_t>& tile) const {
        for (AxisId other = 0; other < tile.size(); ++other) {
            if (other != vector && tile[other] > 1 && lies_along(other)) return tile[other];
        }
        return 1;
    }
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
    // For --report: cycles that the model predicts for one call on one core; what `choose` found best, with costs
    // that count compiling too.
    double predicted_cycles(const Schedule& schedule) const {
        double sum = 0;
        for (std::size_t s = 0; s < kernel_.stages.size(); ++s) sum += stage_cost(schedule, s);
        return sum;
    }
    const std::vector<std::pair<double, Schedule>>& best() const { return best_; }

private:
    void describe();
    Access access_of(const Buffer& buffer, const std::vector<Index>& index, bool indirect) const;
    std::int64_t extent(AxisId axis) const { return kernel_.axes[axis].extent.at(hint_); }
    double cost(const Schedule& schedule, bool main_only) const;
    double code_size(const Schedule& schedule) const;
    double gather_code(const Schedule& schedule, std::size_t stage,
                       const std::vector<std::int64_t>& count) const;
    const std::vector<Guard>& guards_of_main() const;
    double stage_cost(const Schedule& schedule, std::size_t stage) const;
    double new_vectors(const StageSchedule& how, std::vector<std::int64_t> count) const;
    double access_cost(const Access& access, const std::optional<AxisId>& vector,
                       const std::vector<std::int64_t>& count, double registers, bool packed) const;
    std::optional<AxisId> transposed_along(const Access& access, AxisId vector,
                                           const std::vector<std::int64_t>& count) const;
    double distinct(const Access& access, const std::vector<std::int64_t>& count,
                    const std::optional<AxisId>& vector) const;
    bool packable(const Schedule& schedule, std::uint32_t read) const;
    void fill_stages(Schedule& schedule, bool own_all, std::int64_t reduced_unroll) const;
    void choose_lane_by_lane(Schedule& schedule) const;
    void unroll_taps(Schedule& schedule, std::size_t stage, std::size_t loop) const;
    bool transposes(AxisId vector, AxisId other) const;
    std::int64_t rows_at_once(AxisId axis) const;
    bool sums_columns() const;
    void consider(Schedule schedule, bool thorough);
    Schedule by_vectors();
    void try_tiles(const std::optional<AxisId>& vector, bool lane);
    // choose_matrices.cpp
    std::vector<std::optional<MatrixSum>> matrix_sums(std::vector<AxisId>& columns) const;
    std::vector<AxisId> rows_beside(const MatrixSum& sum, AxisId columns) const;
    double rows_score(const MatrixSum& sum, const Stage& stage, AxisId axis) const;
    std::optional<Schedule> by_matrices() const;
    void choose_block_of_rows(Schedule& schedule) const;
    double matrix_cost(const Schedule& schedule, std::size_t number) const;
    // choose_loops.cpp
    std::int64_t tiles(const Schedule& schedule, const AxisTile& tile) const;
    double bytes_of(const Buffer& buffer) const;
    bool selects(const Read& read, AxisId axis) const;
    void choose_slices(Schedule& schedule) const;
    void choose_block(Schedule& schedule) const;
    bool reads_samples(AxisId vector) const;
    void order_loops(Schedule& schedule) const;
    void order_as_stored(Schedule& schedule) const;
    Schedule packed(const Schedule& schedule, std::uint32_t read) const;
    void choose_packs(Schedule& schedule) const;
    void choose_streams(Schedule& schedule) const;
    void choose_ahead(Schedule& schedule) const;
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

}  // namespace netc::choosing
