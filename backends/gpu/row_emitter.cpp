// See the header.
#include "backends/gpu/row_emitter.h"

#include <algorithm>

namespace netc {
namespace {

// Elements whose results are all computed before the first is stored: what they read is under way together.
constexpr std::size_t kAtOnce = 8;
// More values than these make a thread want more than 128 registers.
constexpr std::int64_t kManyValues = 72;

}  // namespace

Result<GpuLaunch> RowEmitter::emit(const std::string& name) {
    row_ = *row_kernel(kernel_);
    kept_.resize(row_.rows.size());
    locals_.resize(kernel_.locals.size());
    begin(name, how_.threads(), how_.row_places * row_.kept > kManyValues);
    find_point();
    find_places();
    for (std::size_t k = 0; k < kernel_.stages.size(); ++k) {
        bring_rows(k);
        emit_stage(kernel_.stages[k]);
    }
    if (Status status = finish(); !status) return status.error();
    return GpuLaunch{name, how_.threads(), 0, how_.grid()};
}

// A thread with an element beyond the row works on the first of its lane instead.
void RowEmitter::find_places() {
    const std::int64_t parts = how_.team / kLanes, of_part = how_.row_places * kLanes;
    part_ = divide(member_, kLanes, true);
    llvm::Value* lane = modulo(member_, kLanes, true);
    llvm::Value* begin = lane;
    if (parts > 1)
        begin =
            builder_.CreateAdd(lane, builder_.CreateMul(part_, number(of_part)), "", true, true);
    for (std::int64_t first = 0; first < of_part; first += kLanes) {
        llvm::Value* element = builder_.CreateAdd(begin, number(first), "", true, true);
        llvm::Value* exists = nullptr;
        if ((parts - 1) * of_part + first + kLanes > row_.extent) {
            exists = builder_.CreateICmpULT(element, number(row_.extent));
            element = builder_.CreateSelect(exists, element, lane);
        }
        elements_.push_back(element);
        exists_.push_back(exists);
    }
}

void RowEmitter::go_to(AxisId axis, std::size_t place) {
    place_ = place;
    coordinate_[axis] = elements_[place];
}

// Rows that this stage is the first to read: all loads are under way together.
void RowEmitter::bring_rows(std::size_t stage) {
    for (std::size_t k = 0; k < row_.rows.size(); ++k) {
        if (row_.rows[k].first != stage) continue;
        const AxisId axis = *row_axis(kernel_.stages[stage]);
        enter();
        for (std::size_t place = 0; place < elements_.size(); ++place) {
            go_to(axis, place);
            kept_[k].push_back(read(kernel_.reads[row_.rows[k].reads[0]]));
        }
        leave();
        coordinate_[axis] = nullptr;
    }
}

void RowEmitter::emit_stage(const Stage& stage) {
    enter();
    if (!stage.axes.empty()) {
        emit_elements(stage);
    } else {
        if (stage.reduction) set_state(reduce_row(*stage.reduction));
        place_ = 0;
        store_all(stage, both(active_, builder_.CreateICmpEQ(member_, number(0))));
    }
    leave();
}

void RowEmitter::emit_elements(const Stage& stage) {
    const AxisId axis = *row_axis(stage);
    for (std::size_t first = 0; first < elements_.size(); first += kAtOnce) {
        const std::size_t end = std::min(first + kAtOnce, elements_.size());
        std::vector<Values> values;
        for (std::size_t place = first; place < end; ++place) {
            go_to(axis, place);
            values.emplace_back();
            for (const Store& each : stage.stores) values.back().push_back(evaluate(each.value));
        }
        const auto store_all_of = [&](Buffer::Kind kind) {
            for (std::size_t n = 0; n < stage.stores.size(); ++n) {
                if (stage.stores[n].target.kind != kind) continue;
                for (std::size_t place = first; place < end; ++place) {
                    go_to(axis, place);
                    store(stage.stores[n], values[place - first][n], nullptr, exists_[place]);
                }
            }
        };
        store_all_of(Buffer::Kind::local);  // of a point that does not exist too
        if_then(active_, [&] { store_all_of(Buffer::Kind::param); });
    }
    coordinate_[axis] = nullptr;
}

// The elements that a thread has, in their order.
GpuEmitter::Values RowEmitter::reduce_places(const Reduction& reduction, Values sums) {
    const AxisId axis = reduction.axes[0];
    for (std::size_t place = 0; place < elements_.size(); ++place) {
        go_to(axis, place);
        set_state(sums);
        Values next = evaluate_all(reduction.step);
        for (std::size_t k = 0; k < sums.size(); ++k)
            sums[k] = exists_[place] == nullptr
                          ? next[k]
                          : builder_.CreateSelect(exists_[place], next[k], sums[k]);
    }
    coordinate_[axis] = nullptr;
    return sums;
}

// One lane's elements, from the thread with its first to the one with its last; then the lanes.
GpuEmitter::Values RowEmitter::reduce_row(const Reduction& reduction) {
    const std::int64_t parts = how_.team / kLanes;
    if (parts == 1)
        return merge_lanes(reduction, reduce_places(reduction, identity(reduction)), member_);
    const std::vector<llvm::AllocaInst*> sums = variables(identity(reduction), "sum");
    for (std::int64_t part = 0; part < parts; ++part) {
        llvm::Value* mine = builder_.CreateICmpEQ(part_, number(part));
        if_then(mine, [&] {
            const Values next = reduce_places(reduction, values_of(sums));
            for (std::size_t k = 0; k < sums.size(); ++k) builder_.CreateStore(next[k], sums[k]);
        });
        // The other one goes on from there, or has the result as well.
        for (llvm::AllocaInst* sum : sums) {
            llvm::Value* own = load_variable(sum);
            llvm::Value* other = shuffle_xor(own, static_cast<unsigned>(kLanes));
            builder_.CreateStore(builder_.CreateSelect(mine, own, other), sum);
        }
    }
    return merge_lanes(reduction, values_of(sums), member_);
}

llvm::Value* RowEmitter::read_cached(std::size_t read) {
    for (std::size_t k = 0; k < row_.rows.size(); ++k) {
        if (place_ < kept_[k].size() && std::ranges::count(row_.rows[k].reads, read) > 0)
            return kept_[k][place_];
    }
    return nullptr;
}

GpuEmitter::Values& RowEmitter::local_values(std::uint32_t local) {
    const bool is_row = !kernel_.locals[local].dims.empty();
    locals_[local].resize(is_row ? elements_.size() : 1);
    return locals_[local];
}

llvm::Value* RowEmitter::load_local(std::uint32_t local, llvm::Value*) {
    return local_values(local)[kernel_.locals[local].dims.empty() ? 0 : place_];
}

void RowEmitter::store_local(std::uint32_t local, llvm::Value*, llvm::Value* value) {
    local_values(local)[kernel_.locals[local].dims.empty() ? 0 : place_] = value;
}

}  // namespace netc
