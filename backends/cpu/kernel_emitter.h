// One kernel to one LLVM function. To understand it, start at emit() in emit_kernel.cpp: loops (emit_loops.cpp) over
// tiles of the outer axes, inside them the stages (emit_stage.cpp), inside them reductions (emit_reduction.cpp and
// emit_accumulators.cpp, in lanes emit_lane_sums.cpp, by matrix units emit_matrices.cpp, emit_operands.cpp and emit_terms.cpp);
// scalars and memory are in emit_value.cpp, emit_access.cpp, emit_vectors.cpp, emit_lanes.cpp and emit_stores.cpp,
// conditions in emit_guards.cpp.
//
// While code is emitted every axis of a tile has a base (a Linear over loop counters) and a coordinate, the
// number of the point within the tile that is being emitted. The vector axis also has its 16 lanes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/cpu/arithmetic.h"
#include "backends/cpu/machine.h"
#include "backends/cpu/matrix_sum.h"
#include "backends/cpu/schedule.h"
#include "ir/kernel.h"

namespace netc {

// rows[i][j] to rows[j][i], 16 by 16 (emit_vectors.cpp).
void transpose(llvm::IRBuilder<>& builder, std::vector<llvm::Value*>& rows);
// Up to sixteen columns of sixteen elements to as many rows, as long as there are columns.
std::vector<llvm::Value*> rows_of_columns(llvm::IRBuilder<>& builder,
                                          const std::vector<llvm::Value*>& columns);

// Of a sum that waits in memory, whatever its type.
inline constexpr std::size_t kParkedBytes = kLanes * 8;

// What memory and caches exchange.
inline constexpr std::int64_t kLineBytes = 64;

// A value at a point: one element, or a vector along the vector axis.
struct Element {
    llvm::Value* value = nullptr;
    bool vector = false;
};

// Whether something holds at a point: never, or where both conditions hold that are not null.
struct Condition {
    bool never = false;
    llvm::Value* scalar = nullptr;
    llvm::Value* lanes = nullptr;  // one for each lane
};

class KernelEmitter {
public:
    // With `batch`, code for exactly that B.
    KernelEmitter(const Kernel& kernel, const Schedule& schedule, const Machine& machine,
                  llvm::Module& module, std::optional<std::int64_t> batch);
    // void name(ptr params..., i64 B, i64 begin, i64 end, ptr fault)
    Result<llvm::Function*> emit(const std::string& name);

private:
    // Iterations of one loop: `count` tiles of `tile` points from `start` on.
    struct Segment {
        Linear start;
        std::int64_t count = 0;  // where `dynamic_count` is null
        llvm::Value* dynamic_count = nullptr;
        std::int64_t tile = 1;
        bool edge = false;                 // the last vector is not full
        bool open = false;                 // rows of matrices of which some may not be there
        llvm::Value* edge_mask = nullptr;  // where it is known already
    };
    struct LocalPlace {
        bool in_registers = false;
        llvm::Value* memory = nullptr;
        std::map<std::pair<std::uint64_t, std::int64_t>, Element> elements;
    };
    struct PackPlace {
        llvm::Value* memory = nullptr;
        std::vector<AxisId> reduced;  // what the copy is indexed by, besides the vector axis
        std::vector<std::int64_t> strides;
        std::int64_t vectors = 1;
        bool active = false;
    };
    struct SliceRange {
        Linear begin;  // low, as a multiple of the slice's size
        llvm::Value* low = nullptr;
        llvm::Value* high = nullptr;
    };
    using Body = llvm::function_ref<void()>;

    // emit_kernel.cpp
    void prepare();
    void emit_blocks();
    void emit_outer(std::size_t level);
    void emit_tile();
    void emit_pack(std::uint32_t read);
    llvm::Value* allocate(std::int64_t bytes, const std::string& name);
    void begin_streams();
    void end_streams();

    // emit_loops.cpp
    std::vector<Segment> segments_of(AxisId axis, std::int64_t tile, bool lanes = false);
    std::vector<Segment> segments_of_part(AxisId axis, std::int64_t tile, bool rows);
    void run_segments(AxisId axis, std::vector<Segment> segments, bool chunked, Body body);
    void loop(llvm::Value* from, llvm::Value* to, Range range, bool nonempty,
              llvm::function_ref<void(const Linear&)> body);
    void if_then(llvm::Value* condition, Body body);
    bool needs_masks(AxisId axis) const;

    // emit_slices.cpp
    void emit_slices(std::size_t level);
    void resume_states();
    std::vector<Segment> segments_of_slice(AxisId axis);

    // emit_stage.cpp
    void emit_stage(const Stage& stage, const StageSchedule& how);
    void emit_own(std::size_t level);
    void emit_points();
    bool crowds_registers() const;
    void park_sums();
    llvm::Value* parked_place(llvm::Value* place, std::size_t number);
    llvm::Value* parked_sum(std::size_t number);
    void prefetch_for_stores();
    void prefetch(const Read& read);
    void prefetch_vector(const Read& read, std::int64_t behind, unsigned locality);
    void ask_ahead();
    void for_each_point(llvm::function_ref<void(std::size_t)> body, bool vectors_fastest = false);
    std::size_t point_count() const;

    // emit_reduction.cpp
    void emit_reduction();
    void reduce(std::size_t level);
    void reduce_blocked();
    std::vector<Segment> segments_of_leaf(const Linear& start);
    void reduce_segments(std::size_t level, std::vector<Segment> segments);
    bool clip(AxisId axis, std::vector<std::size_t>& resolved, llvm::Value*& low,
              llvm::Value*& high);

    // emit_accumulators.cpp
    void step();
    void step_point(std::size_t point);
    void merge_into(std::vector<llvm::Value*>& left, const std::vector<llvm::Value*>& right);
    std::vector<Element> merge(const std::vector<Element>& left, const std::vector<Element>& right);

    // emit_lane_sums.cpp
    void reduce_lane_by_lane();
    void reduce_lane(std::size_t level, const Linear& first, std::int64_t leaf);
    void merge_lanes();

    // emit_dot.cpp
    void begin_dots();
    void dot_step(std::size_t point);
    void finish_dot(std::size_t point);
    void finish_dots();
    llvm::Value* lanes_of(const std::vector<Element>& factors);
    llvm::Value* load_part_of_words(llvm::Value* base, const Linear& bytes, llvm::Type* type);
    llvm::Value* words_of(const std::vector<Element>& factors) const;

    // emit_matrices.cpp
    struct
        MatrixGroup {  // rows of sums that one tile holds: coordinates of the other point axes, rows from `first` on
        std::vector<std::int64_t> coordinates;
        std::int64_t first = 0, rows = 1;
    };
    struct MatrixBlock {  // two by two tiles of sums at most, while all terms are added to them
        std::vector<MatrixGroup> groups;
        std::vector<std::int64_t> vectors;
    };
    struct
        MatrixStep {  // values of the chunked axis from `start` on: `values` of them, or those below the extent
        Linear start;
        std::int64_t values = 0;
        bool open = false;
    };
    void reduce_by_matrices();
    std::vector<MatrixGroup> matrix_groups();
    void load_tile_shapes(const MatrixBlock& block);
    void finish_tiles();
    void visit_tiles(
        const MatrixBlock& block,
        llvm::function_ref<void(std::uint8_t tile, llvm::Value* place, llvm::Value* row_bytes)>
            body);
    void matrix_steps();
    void matrix_step(const MatrixStep& step);
    void place_at(const MatrixGroup& group);
    std::optional<Condition> condition_of_group(const MatrixGroup& group);
    llvm::Value* operand_scratch(std::size_t number);
    void load_columns(std::size_t vector, const MatrixStep& step);
    void multiply_rows(std::size_t group, const MatrixStep& step);
    llvm::Value* sums_of_stage();
    llvm::Value* finished_sum(std::size_t point);

    // emit_operands.cpp
    struct MatrixOperand {  // a factor at points along an axis, for one tile register
        ScalarId factor = kNoScalar;
        AxisId axis = 0;
        std::int64_t first = 0;  // of the vector axis the number of the vector
        std::int64_t points = 1;
        bool row_a_point = true;  // else a row of the tile is a word of all points
        std::uint8_t tile = 0;
        llvm::Value* scratch = nullptr;
    };
    void load_operand(const MatrixOperand& operand, const MatrixStep& step);
    bool load_in_place(const MatrixOperand& operand, const MatrixStep& step);
    std::optional<std::vector<llvm::Value*>> rows_of_points(const MatrixOperand& operand,
                                                            const MatrixStep& step);
    std::optional<std::vector<llvm::Value*>> rows_of_words(const MatrixOperand& operand,
                                                           const MatrixStep& step);
    void copy_elements(const MatrixOperand& operand, const MatrixStep& step);
    llvm::Value* row_of(const MatrixOperand& operand, std::int64_t row);
    bool lies_across(const MatrixOperand& operand, const MatrixStep& step);
    llvm::Value* term_across(const MatrixOperand& operand, const MatrixStep& step,
                             std::int64_t term);
    void load_tile(std::uint8_t tile, llvm::Value* place, llvm::Value* stride);

    // emit_terms.cpp
    std::int64_t terms_of(const MatrixStep& step) const;
    bool set_term(const MatrixStep& step, std::int64_t term);
    bool is_of_step(const Guard& guard) const;
    bool lies_as_words(const MatrixOperand& operand, const MatrixStep& step);
    bool lies_along(const MatrixOperand& operand, const MatrixStep& step);
    Linear factor_bytes(const MatrixOperand& operand, const MatrixStep& step, std::int64_t point,
                        std::int64_t term);
    std::optional<std::int64_t> distance(const MatrixOperand& operand, const MatrixStep& step,
                                         std::int64_t point, std::int64_t term);
    Condition row_condition();
    Condition term_condition(bool of_rows, const MatrixStep& step);
    const Read* read_of(const MatrixOperand& operand) const;
    bool in_a_row(const MatrixOperand& operand, const MatrixStep& step) const;
    llvm::Value* factor_address(const MatrixOperand& operand, const MatrixStep& step,
                                std::int64_t point, std::int64_t term);
    Condition row_is_there();

    // emit_guards.cpp
    Condition condition_of(const Guard& guard);
    Condition condition_of(const Store& store);
    Condition both(const Condition& a, const Condition& b);
    Condition inside(const Linear& value, Extent limit);
    std::vector<Segment> split_by_guards(AxisId axis, std::vector<Segment> segments);
    std::optional<std::vector<std::int64_t>> offsets_beside(const Index& index, AxisId axis,
                                                            std::int64_t tile) const;
    std::vector<Guard> guards_and_borders() const;

    // emit_access.cpp
    Linear linear(const Index& index);
    Linear axis_value(AxisId axis);
    Linear offset_in(const Param& param, const std::vector<Linear>& index);
    llvm::Value* extent_value(Extent extent);
    bool spans(const Index& index, Extent dim) const;
    Element read(const Read& read, std::uint32_t number, ScalarId node);
    Element read_local(const Read& read);
    Element read_indirect(const Read& read);
    Linear local_bytes(std::uint32_t local, const std::vector<Index>& index);
    std::uint64_t outer_point() const;
    bool fills_lanes(const Param& param, const std::vector<Index>& index) const;
    llvm::Value* mask_here();
    void raise_fault(llvm::Value* bad);

    // emit_vectors.cpp
    Element load(llvm::Value* base, const Linear& bytes, DType type, bool all_lanes,
                 llvm::Value* also = nullptr);
    llvm::Value* load_every_other(llvm::Value* pointer, llvm::FixedVectorType* vector,
                                  llvm::Value* mask);
    bool read_transposed(const Read& read, ScalarId node, const Linear& bytes, llvm::Value* inside);

    // emit_lanes.cpp
    bool has_gathers(std::int64_t size) const;
    bool has_masks(std::int64_t size) const;
    llvm::Value* zeros();
    llvm::Value* unread();
    llvm::Value* lane_address(llvm::Value* base, const Linear& bytes, std::int64_t lane);
    llvm::Value* lane_addresses(llvm::Value* base, const Linear& bytes);
    void for_each_lane(llvm::Value* base, const Linear& bytes, llvm::Value* mask,
                       llvm::function_ref<llvm::Value*()> idle,
                       llvm::function_ref<void(std::uint64_t lane, llvm::Value* place)> body);
    llvm::Value* gather(llvm::Value* base, const Linear& bytes, llvm::FixedVectorType* vector,
                        llvm::Value* mask);
    void scatter(llvm::Value* base, const Linear& bytes, llvm::Value* values, llvm::Value* mask);
    llvm::Value* load_side_by_side(llvm::Value* base, const Linear& bytes,
                                   llvm::FixedVectorType* vector, llvm::Value* mask);
    void store_side_by_side(llvm::Value* base, const Linear& bytes, llvm::Value* values,
                            llvm::Value* mask);

    // emit_stores.cpp
    void emit_stores();
    void emit_scatter(const Store& store);
    void store_to(const Store& store, Element value);
    std::optional<AxisId> axis_of_rows(const Store& store);
    bool lies_in_rows(const Store& store, AxisId axis, std::int64_t points);
    void store_rows(const Store& store, AxisId along, const std::vector<Element>& values);
    Linear stored_bytes(const Store& store);
    void store(llvm::Value* base, const Linear& bytes, DType type, Element value, bool all_lanes);
    bool joins_word(llvm::Value* base, const Linear& bytes, DType type, llvm::Value* value);
    void finish_word();
    static bool whole_lines(const Linear& bytes, DType type);
    void past_caches_or_through(const Store& store, Body body);

    // emit_value.cpp
    Element evaluate(ScalarId id);
    Element evaluate_apart(ScalarId id);
    std::optional<bool> known_choice(const Scalar& choice);
    Element evaluate_index(const Scalar& scalar);
    Element evaluate_operation(const Scalar& scalar);
    bool look_up_together(ScalarId id);
    llvm::Value* as_vector(const Element& element, unsigned width = 16);
    std::uint64_t memo_key(ScalarId id) const;
    void find_dependencies();
    void remember(ScalarId id, Element element);
    void enter(llvm::Instruction* preheader_end = nullptr);
    void leave();

    // What the schedule says about an axis.
    std::optional<std::int64_t> static_extent(AxisId axis) const;
    Extent extent_of(AxisId axis) const { return kernel_.axes[axis].extent; }
    bool fully_unrolled(AxisId axis) const;
    void fail(const std::string& message);

    const Kernel& kernel_;
    const Schedule& schedule_;
    const Machine& machine_;
    llvm::Module& module_;
    llvm::LLVMContext& context_;
    std::optional<std::int64_t> batch_;
    llvm::IRBuilder<> builder_;
    Arithmetic arithmetic_;
    std::optional<Error> error_;

    llvm::Function* function_ = nullptr;
    llvm::BasicBlock* entry_ = nullptr;
    std::vector<llvm::Value*> params_;
    std::map<llvm::Value*, llvm::Value*>
        streams_;                    // of a param, whether it is written past the caches
    llvm::Value* zeros_ = nullptr;   // made when asked for
    llvm::Value* unread_ = nullptr;  // likewise
    llvm::Value* batch_value_ = nullptr;
    llvm::Value* begin_ = nullptr;
    llvm::Value* end_ = nullptr;
    llvm::Value* fault_ = nullptr;
    std::vector<LocalPlace> locals_;
    std::map<std::uint32_t, PackPlace> packs_;
    std::map<AxisId, SliceRange> slices_;
    llvm::Value* resumed_ = nullptr;      // whether sums go on from the output; null without slices
    std::vector<std::uint64_t> depends_;  // axes that a scalar depends on, as bits
    std::vector<std::uint64_t> read_depends_;
    std::vector<std::uint64_t> weight_;        // of an axis' coordinate in memo keys
    std::vector<std::int64_t> schedule_tile_;  // greatest count of coordinates of an axis

    // The place in the loops.
    std::vector<Linear> base_;
    std::vector<bool> bound_;
    std::vector<std::int64_t> coordinate_;
    std::vector<std::int64_t> count_;
    std::optional<AxisId> vector_axis_;
    std::optional<std::int64_t> lane_;  // where the vector axis stands for one of its lanes
    bool edge_ = false;
    std::int64_t edge_coordinate_ = 0;
    llvm::Value* edge_mask_ = nullptr;
    std::optional<AxisId> open_rows_;    // rows of this axis may not be there
    std::optional<Linear> block_start_;  // of Schedule::block
    llvm::Value* guard_mask_ = nullptr;

    const Stage* stage_ = nullptr;
    const StageSchedule* how_ = nullptr;
    std::vector<AxisId> point_axes_;
    std::vector<llvm::Value*> states_;  // point by point
    std::vector<std::vector<llvm::Value*>*> carried_;
    bool vector_states_ = false;
    llvm::Value* parked_ =
        nullptr;  // where finished sums wait, one after the other; null: in registers
    std::map<std::int64_t, llvm::Value*> parking_;  // such places, by their size
    std::vector<Element> state_here_;
    std::vector<Element> other_here_;
    std::vector<bool> guard_resolved_;
    std::int64_t lane_copies_ = 1;
    std::optional<Linear> lane_of_sum_;  // where one lane of a sum is made after the other

    // Steps of several products, where the reduction has that form: how many, and what is multiplied, narrow and
    // (of bf16) widened; the products that wait, for each accumulator; lanes that are made.
    struct Factors {
        std::size_t count = 0;
        ScalarId a = kNoScalar, b = kNoScalar, wide_a = kNoScalar, wide_b = kNoScalar;
    };
    struct Products {
        Element a, b;
    };
    std::optional<Factors> factors_;
    std::vector<std::vector<Products>> waiting_;
    std::map<std::vector<llvm::Value*>, llvm::Value*> dot_lanes_;
    // Words that lie in memory as such: what was loaded in a block, and which bytes of which words a value is.
    struct Part {
        llvm::Value* words = nullptr;
        std::int64_t offset = 0;
    };
    std::map<std::pair<llvm::BasicBlock*, llvm::Value*>, llvm::Value*> words_;
    std::map<llvm::Value*, Part> parts_;
    // Words of which some parts have been stored: the parts wait for the others, which follow in memory.
    struct WaitingWord {
        llvm::Value* base = nullptr;
        Linear bytes;  // of the first part
        DType type = DType::bf16;
        std::vector<llvm::Value*> values;
    };
    std::optional<WaitingWord> word_;
    bool past_caches_ = false;  // whether whole lines are stored so
    bool joins_words_ = false;  // whether stores follow each other, with no branch in between

    // A sum by matrix units: its form, where finished sums lie (64 bytes a point), the block that is made.
    std::optional<MatrixSum> matrix_;
    llvm::Value* matrix_sums_ = nullptr;
    std::map<const Stage*, llvm::Value*> stage_sums_;
    llvm::Value* operand_scratch_ = nullptr;  // of two tiles of rows, two of columns
    llvm::Value* tile_shapes_ = nullptr;
    struct ShapeLoad {
        llvm::Constant* shapes = nullptr;
        llvm::Instruction* store = nullptr;
        llvm::Instruction* use = nullptr;
    };
    std::vector<ShapeLoad> shape_loads_;
    MatrixBlock block_;

    std::vector<std::unordered_map<std::uint64_t, Element>> memo_{1};
};

}  // namespace netc
