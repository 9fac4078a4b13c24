// The accumulators of a reduction, one or sixteen lanes of them for every point of the tile: the step that adds a term
// to each, and the merges of partial ones.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"

namespace netc {

// One term for every accumulator, those that share a condition together.
void KernelEmitter::step() {
    const Reduction& reduction = *stage_->reduction;
    const bool copies = lane_copies_ > 1;
    std::vector<std::pair<Condition, std::vector<std::pair<std::size_t, std::int64_t>>>> groups;
    for_each_point([&](std::size_t point) {
        for (std::int64_t lane = 0; lane < lane_copies_; ++lane) {
            Condition condition;
            if (copies) {
                const AxisId axis = reduction.order.lane_axis;
                coordinate_[axis] = lane;
                condition = inside(axis_value(axis), extent_of(axis));
            }
            for (std::size_t g = 0; g < reduction.guards.size() && !condition.never; ++g) {
                if (!guard_resolved_[g])
                    condition = both(condition, condition_of(reduction.guards[g]));
            }
            if (condition.never) continue;
            auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& known) {
                return known.first.scalar == condition.scalar &&
                       known.first.lanes == condition.lanes;
            });
            if (group == groups.end()) {
                groups.push_back({condition, {}});
                group = groups.end() - 1;
            }
            group->second.push_back({point, lane});
        }
    });
    const std::size_t all = point_count() * static_cast<std::size_t>(lane_copies_);
    for (const auto& group : groups) {
        const Condition& condition = group.first;
        const auto& members = group.second;
        const auto emit_members = [&] {
            for_each_point(
                [&](std::size_t point) {
                    for (std::int64_t lane = 0; lane < lane_copies_; ++lane) {
                        if (members.size() < all &&
                            std::find(members.begin(), members.end(), std::pair(point, lane)) ==
                                members.end()) {
                            continue;
                        }
                        if (copies) coordinate_[reduction.order.lane_axis] = lane;
                        step_point(point * static_cast<std::size_t>(lane_copies_) +
                                   static_cast<std::size_t>(lane));
                    }
                },
                true);
        };
        const auto emit_masked = [&] {
            llvm::Value* mask_before = guard_mask_;
            guard_mask_ = condition.lanes;
            enter();
            emit_members();
            leave();
            guard_mask_ = mask_before;
        };
        if (condition.scalar != nullptr) {
            if_then(condition.scalar, emit_masked);
        } else if (condition.lanes != nullptr) {
            emit_masked();
        } else {
            emit_members();
        }
        if (error_) break;
    }
    if (copies) coordinate_[reduction.order.lane_axis] = 0;
    ask_ahead();
}

void KernelEmitter::step_point(std::size_t point) {
    const Reduction& reduction = *stage_->reduction;
    const std::size_t states = reduction.states.size();
    // Lanes that have no term keep their state: conditions, and samples past the end of a lane axis.
    const bool lane_vector =
        reduction.order.kind == OrderKind::lanes && vector_axis_ == reduction.order.lane_axis;
    llvm::Value* mask = guard_mask_;
    if (lane_vector && edge_)
        mask = mask == nullptr ? edge_mask_ : builder_.CreateAnd(mask, edge_mask_);
    if (factors_) {
        if (mask == nullptr) return dot_step(point);
        finish_dot(point);
    }
    state_here_.clear();
    for (std::size_t k = 0; k < states; ++k) {
        state_here_.push_back({states_[point * states + k], vector_states_});
    }
    std::vector<llvm::Value*> next;
    for (std::size_t k = 0; k < states; ++k) {
        const Element value = evaluate(reduction.step[k]);
        if (error_) return;
        next.push_back(vector_states_ ? as_vector(value) : value.value);
    }
    for (std::size_t k = 0; k < states; ++k) {
        llvm::Value*& place = states_[point * states + k];
        place = mask != nullptr ? builder_.CreateSelect(mask, next[k], place) : next[k];
    }
    state_here_.clear();
}

std::vector<Element> KernelEmitter::merge(const std::vector<Element>& left,
                                          const std::vector<Element>& right) {
    // Nothing that was remembered elsewhere holds for these states.
    std::vector<std::unordered_map<std::uint64_t, Element>> memo(1);
    std::swap(memo, memo_);
    state_here_ = left;
    other_here_ = right;
    std::vector<Element> merged;
    for (ScalarId id : stage_->reduction->merge) {
        merged.push_back(evaluate(id));
        if (error_) break;
    }
    state_here_.clear();
    other_here_.clear();
    std::swap(memo, memo_);
    return merged;
}

// All partial states of `right` to those of `left`.
void KernelEmitter::merge_into(std::vector<llvm::Value*>& left,
                               const std::vector<llvm::Value*>& right) {
    const std::size_t states = stage_->reduction->states.size();
    for (std::size_t first = 0; first < left.size() && !error_; first += states) {
        std::vector<Element> left_states, right_states;
        for (std::size_t k = 0; k < states; ++k) {
            left_states.push_back({left[first + k], vector_states_});
            right_states.push_back({right[first + k], vector_states_});
        }
        const std::vector<Element> merged = merge(left_states, right_states);
        for (std::size_t k = 0; k < states && !error_; ++k)
            left[first + k] = vector_states_ ? as_vector(merged[k]) : merged[k].value;
    }
}

}  // namespace netc
