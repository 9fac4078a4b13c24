// Sums in lanes: sixteen accumulators of each point by (index of one axis) mod 16, which are merged in pairs. The lanes are the
// vector, or sixteen copies of every accumulator at once, or one lane after the other.
#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {

// One lane after the other, from the identity each: the tile is that of a plain sum, and sixteen times its accumulators wait
// in memory for being merged.
void KernelEmitter::reduce_lane_by_lane() {
    const Reduction& reduction = *stage_->reduction;
    const std::vector<llvm::Value*> identity = states_;
    const auto lane_bytes = static_cast<std::int64_t>(kParkedBytes * identity.size());
    llvm::Value*& place = parking_[kLanes * lane_bytes];
    if (place == nullptr) place = allocate(kLanes * lane_bytes, "lanes");
    arithmetic_.add_known(place, {-kUnbounded, kUnbounded});
    const auto sums_of = [&](const Linear& lane) {
        return arithmetic_.address(place, arithmetic_.scale(lane, lane_bytes));
    };
    const auto load = [&](llvm::Value* sums) {
        std::vector<llvm::Value*> loaded;
        for (std::size_t i = 0; i < identity.size(); ++i)
            loaded.push_back(builder_.CreateLoad(identity[i]->getType(), parked_place(sums, i)));
        return loaded;
    };
    const auto store = [&](llvm::Value* sums) {
        for (std::size_t i = 0; i < states_.size(); ++i)
            builder_.CreateStore(states_[i], parked_place(sums, i));
    };
    carried_.clear();
    loop(builder_.getInt64(0), builder_.getInt64(kLanes), {0, kLanes - 1}, true,
         [&](const Linear& lane) {
             lane_of_sum_ = lane;
             states_ = identity;
             carried_ = {&states_};
             if (reduction.order.leaf > 0) {
                 reduce_blocked();
             } else {
                 reduce(0);
             }
             finish_dots();
             carried_.clear();
             store(sums_of(lane));
             lane_of_sum_.reset();
         });
    for (std::int64_t half = kLanes / 2; half > 0 && !error_; half /= 2) {
        loop(builder_.getInt64(0), builder_.getInt64(static_cast<std::uint64_t>(half)),
             {0, half - 1}, true, [&](const Linear& lane) {
                 llvm::Value* sums = sums_of(lane);
                 states_ = load(sums);
                 merge_into(states_,
                            load(sums_of(arithmetic_.add(lane, arithmetic_.constant(half)))));
                 store(sums);
             });
    }
    states_ = load(sums_of(arithmetic_.constant(0)));
}

// Of the lane that is being summed, the steps of one leaf, or all: every sixteenth element.
void KernelEmitter::reduce_lane(std::size_t level, const Linear& first, std::int64_t leaf) {
    const AxisId axis = stage_->reduction->order.lane_axis;
    const Linear extent = arithmetic_.make_value(extent_value(extent_of(axis)), {1, kUnbounded});
    const Linear behind = arithmetic_.add(extent, arithmetic_.constant(kLanes - 1));
    llvm::Value* from = arithmetic_.scalar(first);
    llvm::Value* to = arithmetic_.scalar(arithmetic_.floor_div(
        arithmetic_.add(behind, arithmetic_.scale(*lane_of_sum_, -1)), kLanes));
    if (leaf > 0) {
        llvm::Value* most = arithmetic_.scalar(arithmetic_.add(first, arithmetic_.constant(leaf)));
        to = builder_.CreateSelect(builder_.CreateICmpSLT(to, most), to, most);
    }
    loop(from, to, {0, kUnbounded}, false, [&](const Linear& counter) {
        base_[axis] = arithmetic_.add(arithmetic_.scale(counter, kLanes), *lane_of_sum_);
        bound_[axis] = true;
        enter();
        reduce(level + 1);
        leave();
        bound_[axis] = false;
        base_[axis] = Linear{};
    });
}

// 16 partial states of each point to one, in pairs i, i+8; i, i+4; i, i+2; i, i+1.
void KernelEmitter::merge_lanes() {
    const std::size_t states = stage_->reduction->states.size();
    const auto copies = static_cast<std::size_t>(lane_copies_);
    std::vector<llvm::Value*> finished;
    const std::vector<llvm::Value*> partial = states_;
    lane_copies_ = 1;
    for_each_point([&](std::size_t point) {
        if (copies > 1) {
            std::vector<std::vector<Element>> parts(copies);
            for (std::size_t lane = 0; lane < copies; ++lane) {
                for (std::size_t k = 0; k < states; ++k) {
                    parts[lane].push_back(
                        {partial[(point * copies + lane) * states + k], vector_states_});
                }
            }
            for (std::size_t half = copies / 2; half > 0; half /= 2) {
                for (std::size_t lane = 0; lane < half; ++lane) {
                    parts[lane] = merge(parts[lane], parts[lane + half]);
                    if (error_) return;
                }
            }
            for (std::size_t k = 0; k < states; ++k) {
                finished.push_back(vector_states_ ? as_vector(parts[0][k]) : parts[0][k].value);
            }
            return;
        }
        std::vector<Element> whole;
        for (std::size_t k = 0; k < states; ++k)
            whole.push_back({partial[point * states + k], true});
        for (int half = 8; half > 0; half /= 2) {
            std::vector<Element> low;
            std::vector<Element> high;
            for (const Element& element : whole) {
                llvm::SmallVector<int, 8> first;
                llvm::SmallVector<int, 8> second;
                for (int i = 0; i < half; ++i) {
                    first.push_back(i);
                    second.push_back(half + i);
                }
                low.push_back({builder_.CreateShuffleVector(element.value, first), true});
                high.push_back({builder_.CreateShuffleVector(element.value, second), true});
                if (half == 1) {
                    low.back() = {builder_.CreateExtractElement(element.value, std::uint64_t{0}),
                                  false};
                    high.back() = {builder_.CreateExtractElement(element.value, std::uint64_t{1}),
                                   false};
                }
            }
            whole = merge(low, high);
            if (error_) return;
        }
        for (std::size_t k = 0; k < states; ++k) finished.push_back(whole[k].value);
    });
    states_ = finished;
    if (copies == 1) vector_states_ = false;
}

}  // namespace netc
