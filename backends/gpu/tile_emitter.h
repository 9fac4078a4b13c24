// A sum of products by tiles, see tile_schedule.h.
#pragma once

#include "backends/gpu/gpu_emitter.h"
#include "backends/gpu/tile_schedule.h"

namespace netc {

class TileEmitter final : public GpuEmitter {
public:
    TileEmitter(const Kernel& kernel, const TileSchedule& how, std::int64_t batch_hint,
                DeviceOps& ops, llvm::Module& module)
        : GpuEmitter(kernel, batch_hint, ops, module), how_(how),
          reduction_(*kernel.stages[0].reduction) {}
    Result<GpuLaunch> emit(const std::string& name);

private:
    // One of the two operands: where its tiles lie in shared memory and which elements a thread brings.
    struct Operand {
        ScalarId value = kNoScalar;
        const Numbering* numbering = nullptr;
        const std::vector<Guard>* guards = nullptr;
        std::int64_t block = 0;       // points of the tile
        std::int64_t per_thread = 0;  // results of a thread along it
        bool along_k = false;
        std::int64_t run = 1;        // elements side by side that a thread brings
        std::int64_t run_steps = 1;  // so many of them, one step behind the other
        std::int64_t copy_bytes =
            0;  // of a copy that goes on beside the thread; 0: it brings values
        std::vector<ScalarId> wide{};   // reads that are one load for a run
        bool run_is_one = false;        // its elements exist together or not at all
        llvm::Value* thread = nullptr;  // where this thread's results begin in the tile
        llvm::Value* first = nullptr;   // point that the tile begins with
        llvm::Value* count = nullptr;   // points that exist
        llvm::Type* type = nullptr;
        std::int64_t bytes = 0;  // of an element
        std::int64_t start = 0;  // bytes into the slot of a step
        std::int64_t pitch =
            0;  // elements from one step to the next in a tile without a matrix unit
        // With one: whether rows of the tile are points, else steps, and how many bytes such a row has.
        bool rows_are_points = true;
        std::int64_t row_bytes = 0;
        // Where this thread's row of the four matrices lies that it loads together.
        llvm::Value* matrix_point = nullptr;
        llvm::Value* matrix_step = nullptr;
        std::vector<Values> places{};  // of the points that this thread brings: coordinates by axis
        Values point{}, step{};        // each element's place in the tile
    };
    // A place in a tile, of which the numbers that are known add no bits of the others.
    struct InTile {
        llvm::Value* point = nullptr;
        llvm::Value* step = nullptr;
        std::int64_t more_points = 0, more_steps = 0;
    };

    void find_block();
    void set_point(const Numbering& numbering, llvm::Value* point);
    llvm::Value* exists(const Operand& operand, llvm::Value* point);
    void find_thread();
    void multiply(llvm::Value* slot, llvm::Value* steps);
    void multiply_step(llvm::Value* slot, llvm::Value* step);
    Values fragment(const Operand& operand, llvm::Value* slot, llvm::Value* step);
    void store_results();
    Result<GpuLaunch> finish_launch(const std::string& name);
    llvm::Value* load_local(std::uint32_t, llvm::Value*) override;
    void store_local(std::uint32_t, llvm::Value*, llvm::Value*) override;
    std::int64_t point_of(const Operand& operand, std::int64_t number) const;
    bool by_matrices() const { return how_.unit != MatrixUnit::none; }
    // Matrix units add in an order of their own.
    bool in_leaves() const {
        return !by_matrices() && reduction_.order.kind != OrderKind::sequential;
    }

    // ---- tile_ring.cpp: tiles in shared memory, and what goes on while they are multiplied
    void plan(Operand& operand);
    void plan_ring();
    void sum_range(llvm::Value* from, llvm::Value* to);
    llvm::Value* slot_behind(llvm::Value* slot, std::int64_t steps);
    void meet(std::int64_t pending);
    llvm::Value* tile_start(const Operand& operand, llvm::Value* slot);
    llvm::Value* shared_place(const Operand& operand, llvm::Value* slot, const InTile& at);
    llvm::Value* swizzled_place(const Operand& operand, const InTile& at);

    // ---- tile_producer.cpp: tiles that the device copies by itself, begun by a warpgroup that does nothing else
    void sum_by_producer(llvm::Value* from, llvm::Value* to);
    void init_phases();
    void produce(llvm::Value* from, llvm::Value* to);
    void consume(llvm::Value* from, llvm::Value* to);
    void copy_tile(const Operand& operand, llvm::Value* slot, llvm::Value* k, llvm::Value* limit);
    // Slots in turn, each with the parity of the phase that its barriers are in.
    struct Turn {
        llvm::AllocaInst *slot = nullptr, *parity = nullptr;
    };
    Turn first_turn(std::int64_t parity);
    void next_turn(const Turn& turn);
    enum class Phase : std::uint8_t { full, empty };
    llvm::Value* phase_of(llvm::Value* slot, Phase which);

    // ---- tile_bring.cpp: what a thread brings there
    std::int64_t run_of(const Operand& operand, bool copied) const;
    void find_runs(Operand& operand);
    std::int64_t copy_bytes_of(const Operand& operand) const;
    void find_elements(Operand& operand);
    void set_step(llvm::Value* k, llvm::Value* limit, std::int64_t run);
    bool steps_stay_in_row() const;
    void find_wide(Operand& operand);
    void load_run(const Operand& operand, ScalarId id, const std::vector<Values>& places);
    std::int64_t units_of(const Operand& operand) const;
    llvm::Value* is_in_tile(const Operand& operand, std::int64_t unit);
    void at_elements(const Operand& operand, llvm::Value* k, llvm::Value* limit,
                     llvm::function_ref<void(std::size_t)> body);
    llvm::Value* is_term(const Operand& operand, std::size_t element, llvm::Value* k,
                         llvm::Value* limit, llvm::Value* exists);
    void copy(Operand& operand, llvm::Value* slot, llvm::Value* k, llvm::Value* limit);
    Values bring(Operand& operand, llvm::Value* k, llvm::Value* limit);
    void keep(Operand& operand, const Values& values, llvm::Value* slot);
    void keep_together(const Operand& operand, llvm::ArrayRef<llvm::Value*> values,
                       llvm::Value* place);
    llvm::Value* rounded_to_tf32(llvm::Value* value);

    // ---- tile_matrices.cpp: products by matrix units
    void find_matrices();
    Values matrix_words(const Operand& operand, llvm::Value* slot, std::int64_t point,
                        std::int64_t step);
    void multiply_by_matrices(llvm::Value* slot);
    llvm::Value* descriptor(const Operand& operand, llvm::Value* slot, llvm::Value* point,
                            std::int64_t step);
    void multiply_by_warpgroups(llvm::Value* slot);
    void wait_for_products(unsigned pending);
    Values registers();
    void store_registers(llvm::ArrayRef<llvm::Value*> values);
    std::size_t number_of_register(std::size_t k) const;
    std::int64_t depth() const { return how_.unit == MatrixUnit::bf16 ? 16 : 8; }

    // Elements behind each row of a tile, so that columns meet other banks; those side by side that a thread brings
    // together, and that it loads at once.
    static constexpr std::int64_t kPad = 4;
    static constexpr std::int64_t kRun = 4;
    static constexpr std::int64_t kFragment = 4;

    const TileSchedule& how_;
    const Reduction& reduction_;
    Operand a_, b_;
    llvm::Value* thread_ = nullptr;
    std::int64_t rest_ = 1;  // terms for one value of the first axis of the sum
    std::vector<llvm::AllocaInst*> sums_;
    std::int64_t slots_ = 2;  // steps whose tiles are in shared memory at once
    std::int64_t ahead_ =
        0;  // so many steps before its product a tile's copies begin; 0: nothing is copied
    std::int64_t slot_bytes_ = 0;   // of the tiles of a step
    std::int64_t phase_bytes_ = 0;  // of barriers behind the slots
};

}  // namespace netc
