// One kernel to the code of one thread of a grid: scalars at the place where the thread is, memory, and sums in
// their order. What threads do which places is up to the emitters built on it: teams (team_emitter.h)
// and tiles of contractions (tile_emitter.h).
//
// Coordinates are i32, offsets of elements too: a launch is refused where a buffer has 2^31 elements and more.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/gpu/device_ops.h"
#include "ir/kernel.h"

namespace netc {

class GpuEmitter {
public:
    // `batch_hint` guides only how loops are unrolled.
    GpuEmitter(const Kernel& kernel, std::int64_t batch_hint, DeviceOps& ops, llvm::Module& module);

protected:
    using Values = std::vector<llvm::Value*>;
    using Body = llvm::function_ref<void()>;

    void begin(const std::string& name, int threads, bool many_registers = false,
               std::size_t tensor_maps = 0);
    llvm::Value* tensor_map(std::size_t number) {
        return ops_.parameter(static_cast<unsigned>(kernel_.params.size() + 2 + number));
    }
    Status finish();
    void fail(const std::string& message);

    // ---- numbers -----------------------------------------------------------------------------------
    llvm::Value* number(std::int64_t value) {
        return builder_.getInt32(static_cast<std::uint32_t>(value));
    }
    llvm::Value* extent_value(Extent extent);
    llvm::Value* index_value(const Index& index);
    // Quotient and rest toward minus infinity; the plain ones where the dividend cannot be negative.
    llvm::Value* divide(llvm::Value* value, std::int64_t divisor, bool nonnegative);
    llvm::Value* modulo(llvm::Value* value, std::int64_t divisor, bool nonnegative);
    std::int64_t least(const Index& index) const;
    llvm::Value* inside(llvm::Value* position, Extent limit);  // 0 <= position < limit
    llvm::Value* both(llvm::Value* a, llvm::Value* b);         // null is true
    llvm::Value* holds(const Guard& guard);

    // ---- control ------------------------------------------------------------------------------------
    // body(i) for i = from, from + step, ... below `to`; i is an i32. What it computed is forgotten.
    void loop(llvm::Value* from, llvm::Value* to, llvm::Value* step,
              llvm::function_ref<void(llvm::Value*)> body, unsigned unroll = 0);
    void if_then(llvm::Value* condition, Body body);  // null: always
    void if_then_else(llvm::Value* condition, Body then, Body otherwise);
    llvm::AllocaInst* variable(llvm::Type* type, const llvm::Twine& name, std::int64_t count = 1);
    llvm::Value* load_variable(llvm::AllocaInst* place) {
        return builder_.CreateLoad(place->getAllocatedType(), place);
    }

    // ---- scalars -------------------------------------------------------------------------------------
    llvm::Value* evaluate(ScalarId id);
    Values evaluate_all(const std::vector<ScalarId>& ids);
    void set_state(Values states);
    // The value of a scalar at the current place, where it is known in another way.
    void remember(ScalarId id, llvm::Value* value) { memo_.back()[key_of(id)] = value; }
    // Address of a read at the current place, which is inside, or of the first element where it is not used.
    llvm::Value* address_of(const Read& read, llvm::Value* used);
    void enter() { memo_.emplace_back(); }
    void leave() { memo_.pop_back(); }
    void store(const Store& store, llvm::Value* value, llvm::Value* position, llvm::Value* allowed);
    // Values of all stores first, then the stores: a store may write what another reads.
    void store_all(const Stage& stage, llvm::Value* allowed);

    // What lies nearer than in the device's memory, by the number of the read; null where it does not.
    virtual llvm::Value* read_cached(std::size_t) { return nullptr; }
    llvm::Value* read(const Read& read);
    // Where a local lies, as the thread sees it.
    virtual llvm::Value* load_local(std::uint32_t local, llvm::Value* offset) = 0;
    virtual void store_local(std::uint32_t local, llvm::Value* offset, llvm::Value* value) = 0;
    llvm::Value* local_offset(std::uint32_t local, const std::vector<Index>& index);
    std::int64_t local_size(std::uint32_t local) const;

    // ---- sums, by one thread ------------------------------------------------------------------------
    // Places whose sums a thread computes side by side: coordinates of the axes in which they differ.
    struct Places {
        std::vector<AxisId> axes;
        std::vector<Values> values{Values{}};  // by place, in the order of `axes`
    };
    void go_to(const Places& places, std::size_t place);
    virtual void at_place(std::size_t) {}                      // is told where go_to() goes
    using Sums = std::vector<std::vector<llvm::AllocaInst*>>;  // by place, by state
    Values identity(const Reduction& reduction);
    Values merge(const Reduction& reduction, const Values& left, const Values& right);
    // The value of the thread whose number differs by `mask`, of any type. All threads of a warp take part.
    llvm::Value* shuffle_xor(llvm::Value* value, unsigned mask);
    // Of sixteen neighbouring threads, of which each has the sums of its lane: what they are together, in all sixteen. All
    // threads of a warp take part.
    Values merge_lanes(const Reduction& reduction, Values sums, llvm::Value* lane);
    // The sum at the current place; at several, terms of all of them one after the other.
    Values reduce(const Reduction& reduction);
    std::vector<Values> reduce_at(const Reduction& reduction, const Places& places);
    // One of the sixteen sums of an order by lanes (null: not by lanes), all of its leaves or one of them.
    Values reduce_lane(const Reduction& reduction, llvm::Value* lane);
    Values reduce_leaves(const Reduction& reduction, llvm::Value* lane);
    Values reduce_leaf(const Reduction& reduction, llvm::Value* lane, llvm::Value* leaf);
    llvm::Value* leaf_count(const Reduction& reduction);
    static std::int64_t leaf_elements(const Reduction& reduction);  // of the first axis
    // Variables that begin with these values; what they hold now.
    std::vector<llvm::AllocaInst*> variables(const Values& start, const char* name);
    Values values_of(const std::vector<llvm::AllocaInst*>& places);

    Extent extent_of(AxisId axis) const { return kernel_.axes[axis].extent; }
    std::optional<std::int64_t> static_extent(AxisId axis) const {
        if (!extent_of(axis).is_static()) return std::nullopt;
        return extent_of(axis).at(0);
    }
    llvm::Value* global_address(std::uint32_t param, llvm::Value* offset);
    // Of an access: the element's offset in its param, and whether all its dims are inside (null: not asked).
    struct Place {
        llvm::Value* offset = nullptr;
        llvm::Value* inside = nullptr;
        llvm::Value* bad = nullptr;  // an index among the data is out of range
    };
    Place place_of(const Param& param, const std::vector<Index>& index, std::int32_t indirect,
                   llvm::Value* position, bool checks);
    void raise_fault(llvm::Value* bad);

    const Kernel& kernel_;
    std::int64_t batch_hint_;
    DeviceOps& ops_;
    llvm::Module& module_;
    llvm::LLVMContext& context_;
    llvm::IRBuilder<> builder_;
    llvm::Function* function_ = nullptr;
    std::optional<Error> error_;
    Values coordinate_;              // by axis; null where none is set
    llvm::Value* active_ = nullptr;  // whether this thread's place exists; null: it does
    llvm::Value* mask_ = nullptr;    // whether what is read here is used; null: it is
    Values states_, others_;

private:
    using Key = std::vector<std::uintptr_t>;
    Key key_of(ScalarId id) const;
    void find_dependencies();
    bool always_inside(const Read& read) const;

    // What the loops over a sum know: with `lane` only terms of one lane are added, with `leaf` of one leaf.
    struct Terms {
        const Reduction& reduction;
        const Places& places;
        const Sums& sums;
        llvm::Value* lane = nullptr;
        llvm::Value* leaf = nullptr;
    };
    void add_terms(const Terms& terms, std::size_t depth);
    void add_term(const Terms& terms);
    void loop_terms(const Terms& terms, std::size_t depth);
    std::optional<ScalarId> chosen_by(const Reduction& reduction) const;
    void add_chosen_terms(const Terms& terms, ScalarId condition, llvm::Value* from,
                          llvm::Value* to, std::int64_t step);
    bool differs(const Guard& guard, const Places& places) const;
    std::int64_t loads_of_term(const Terms& terms) const;

    std::vector<std::vector<AxisId>> depends_;  // axes that a scalar depends on
    std::vector<bool> has_state_;
    std::vector<std::map<Key, llvm::Value*>> memo_{1};
    std::uintptr_t epoch_ = 0;  // of the states
};

}  // namespace netc
