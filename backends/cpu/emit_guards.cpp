// Conditions: which terms exist, decided while emitting where ranges decide it, and loops split so that they
// do.
#include <algorithm>
#include <set>

#include "backends/cpu/kernel_emitter.h"
#include "backends/cpu/schedule_queries.h"

namespace netc {
namespace {

// A border of a padded dimension takes few iterations; more pieces than this cost more than conditions.
constexpr std::size_t kMostPieces = 7;
// Code for each phase of a stride, of two axes its square.
constexpr std::int64_t kMostPhases = 4;

bool holds(std::int64_t value, std::int64_t divisor, std::int64_t limit) {
    const std::int64_t quotient = value / divisor;
    return value >= 0 && value % divisor == 0 && quotient < limit;
}

}  // namespace

Condition KernelEmitter::inside(const Linear& value, Extent limit) {
    const Range range = arithmetic_.range(value);
    const std::optional<std::int64_t> fixed =
        limit.is_static() ? std::optional(limit.constant)
                          : (batch_ ? std::optional(limit.at(*batch_)) : std::nullopt);
    if (range.high < 0 || (fixed && range.low >= *fixed)) return {true, nullptr, nullptr};
    if (range.low >= 0 && fixed && range.high < *fixed) return {};
    llvm::Value* bound = extent_value(limit);
    if (value.is_scalar()) return {false, arithmetic_.below(value, bound), nullptr};
    return {false, nullptr,
            builder_.CreateICmpULT(arithmetic_.vector(value),
                                   builder_.CreateVectorSplat(kLanes, bound))};
}

Condition KernelEmitter::both(const Condition& a, const Condition& b) {
    if (a.never || b.never) return {true, nullptr, nullptr};
    return {false, arithmetic_.both(a.scalar, b.scalar), arithmetic_.both(a.lanes, b.lanes)};
}

Condition KernelEmitter::condition_of(const Guard& guard) {
    const Linear value = linear(guard.index);
    if (guard.divisor == 1) return inside(value, guard.limit);
    const Linear rest = arithmetic_.floor_mod(value, guard.divisor);
    Condition divides;
    if (rest.is_constant()) {
        if (rest.constant != 0) return {true, nullptr, nullptr};
    } else {
        divides = inside(rest, Extent{0, 1});
    }
    if (divides.never) return divides;
    return both(divides, inside(arithmetic_.floor_div(value, guard.divisor), guard.limit));
}

// Whether the store is made at all.
Condition KernelEmitter::condition_of(const Store& store) {
    if (!store.clipped) return {};
    const Param& param = kernel_.params[store.target.index];
    Condition condition;
    for (std::size_t dim = 0; dim < store.index.size(); ++dim)
        condition = both(condition, inside(linear(store.index[dim]), param.dims[dim]));
    return condition;
}

// Guards of the stage, and the borders of reads that are zero outside and of stores that are clipped.
std::vector<Guard> KernelEmitter::guards_and_borders() const {
    std::vector<Guard> guards;
    const auto add_borders = [&](const std::vector<Index>& index, const Param& param) {
        for (std::size_t dim = 0; dim < index.size(); ++dim)
            guards.push_back({index[dim], 1, param.dims[dim]});
    };
    for (const Stage& stage : kernel_.stages) {
        if (stage_ != nullptr && stage_ != &stage) continue;
        for (const Store& store : stage.stores) {
            if (store.clipped) add_borders(store.index, kernel_.params[store.target.index]);
        }
        if (!stage.reduction) continue;
        guards.insert(guards.end(), stage.reduction->guards.begin(), stage.reduction->guards.end());
    }
    for (const Read& read : kernel_.reads) {
        if (read.outside != Outside::zero || read.source.kind == Buffer::Kind::local) continue;
        add_borders(read.index, kernel_.params[read.source.index]);
    }
    return guards;
}

// What the index can be beside the base of the axis, where that is a short list: everything else in it
// must be unrolled or known.
std::optional<std::vector<std::int64_t>>
KernelEmitter::offsets_beside(const Index& index, AxisId axis, std::int64_t tile) const {
    std::set<std::int64_t> offsets{index.constant()};
    for (const IndexTerm& term : index.terms()) {
        const bool vector = vector_axis_ == term.axis;
        if (term.kind != IndexTerm::Kind::axis || (vector && term.axis != axis))
            return std::nullopt;
        std::int64_t count = 1;
        std::int64_t from = 0;
        if (term.axis == axis) {
            count = tile * (vector ? kLanes : 1);
        } else if (bound_[term.axis]) {
            if (!base_[term.axis].is_constant()) return std::nullopt;
            from = base_[term.axis].constant;
            count = count_[term.axis];
        } else if (fully_unrolled(term.axis)) {
            count = *static_extent(term.axis);
        } else {
            return std::nullopt;
        }
        std::set<std::int64_t> sums;
        for (std::int64_t offset : offsets) {
            for (std::int64_t i = 0; i < count; ++i)
                sums.insert(offset + term.coefficient * (from + i));
        }
        if (sums.size() > 256) return std::nullopt;
        offsets = std::move(sums);
    }
    return std::vector<std::int64_t>(offsets.begin(), offsets.end());
}

// Cuts loops where a guard changes its answer, so that inside of each piece it has one.
std::vector<KernelEmitter::Segment> KernelEmitter::split_by_guards(AxisId axis,
                                                                   std::vector<Segment> segments) {
    const std::int64_t unit = vector_axis_ == axis ? kLanes : 1;
    const std::vector<Guard> guards = guards_and_borders();
    std::vector<Segment> pieces;
    for (const Segment& segment : segments) {
        if (segment.dynamic_count != nullptr || segment.edge || segment.count == 1 ||
            segment.count > 4096) {
            pieces.push_back(segment);
            continue;
        }
        struct Question {
            std::int64_t coefficient, divisor, limit;
            std::vector<std::int64_t> offsets;
        };
        std::vector<Question> questions;
        for (const Guard& guard : guards) {
            const auto coefficient = guard.index.coefficient(axis);
            if (!coefficient || *coefficient == 0) continue;
            if (!guard.limit.is_static() && !batch_) continue;
            auto offsets = offsets_beside(guard.index, axis, segment.tile);
            if (!offsets) continue;
            questions.push_back({*coefficient, guard.divisor,
                                 batch_ ? guard.limit.at(*batch_) : guard.limit.constant,
                                 std::move(*offsets)});
        }
        std::vector<std::int64_t> starts{0};
        std::vector<bool> previous;
        const bool phases = segment.count <= kMostPhases && is_phase(kernel_, axis);
        for (std::int64_t i = 1; i < segment.count && phases; ++i) starts.push_back(i);
        for (std::int64_t i = 0; i < segment.count && !questions.empty() && !phases; ++i) {
            std::vector<bool> answers;
            const std::int64_t base = segment.start.constant + i * segment.tile * unit;
            for (const Question& question : questions) {
                for (std::int64_t offset : question.offsets) {
                    answers.push_back(holds(question.coefficient * base + offset, question.divisor,
                                            question.limit));
                }
            }
            if (i > 0 && answers != previous) starts.push_back(i);
            previous = std::move(answers);
            if (starts.size() > kMostPieces) break;
        }
        if (starts.size() > kMostPieces && !phases) {
            pieces.push_back(segment);
            continue;
        }
        for (std::size_t i = 0; i < starts.size(); ++i) {
            Segment piece = segment;
            const std::int64_t end = i + 1 < starts.size() ? starts[i + 1] : segment.count;
            piece.start =
                arithmetic_.constant(segment.start.constant + starts[i] * segment.tile * unit);
            piece.count = end - starts[i];
            pieces.push_back(piece);
        }
    }
    return pieces;
}

}  // namespace netc
