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
    // One of the two operands: where its tile lies in shared memory and which elements a thread brings.
    struct Operand {
        ScalarId value = kNoScalar;
        const Numbering* numbering = nullptr;
        const std::vector<Guard>* guards = nullptr;
        std::int64_t block = 0;       // points of the tile
        std::int64_t per_thread = 0;  // results of a thread along it
        bool along_k = false;
        std::int64_t run = 1;           // elements side by side that a thread brings
        std::vector<ScalarId> wide{};   // reads that are one load for a run
        bool run_is_one = false;        // its elements exist together or not at all
        llvm::Value* thread = nullptr;  // where this thread's results begin in the tile
        llvm::Value* words = nullptr;   // and its rows of matrices
        llvm::Value* first = nullptr;   // point that the tile begins with
        llvm::Value* count = nullptr;   // points that exist
        llvm::Type* type = nullptr;
        std::int64_t start = 0;  // bytes into shared memory, of the first of two buffers
        std::int64_t pitch =
            0;  // elements of a row of the tile: of a step, or of a point for matrices
        std::vector<Values> places{};  // of the points that this thread brings: coordinates by axis
        Values point{}, step{};        // each element's place in the tile
    };

    void find_block();
    void set_point(const Numbering& numbering, llvm::Value* point);
    void plan(Operand& operand);
    std::int64_t run_of(const Operand& operand) const;
    void find_elements(Operand& operand);
    void set_step(llvm::Value* k, llvm::Value* limit);
    bool steps_stay_in_row() const;
    llvm::Value* exists(const Operand& operand, llvm::Value* point);
    void find_wide(Operand& operand);
    void load_run(const Operand& operand, ScalarId id, const std::vector<Values>& places);
    Values bring(Operand& operand, llvm::Value* k, llvm::Value* limit);
    void keep(Operand& operand, const Values& values, llvm::Value* buffer);
    void multiply(llvm::Value* buffer, llvm::Value* steps);
    void multiply_step(llvm::Value* buffer, llvm::Value* step);
    Values fragment(const Operand& operand, llvm::Value* buffer, llvm::Value* step);
    bool by_matrices() const { return how_.unit != MatrixUnit::none; }
    void find_thread();
    void multiply_by_matrices(llvm::Value* buffer);
    Values matrix_words(const Operand& operand, llvm::Value* buffer, std::int64_t row,
                        std::int64_t rows, std::int64_t step);
    llvm::Value* rounded_to_tf32(llvm::Value* value);
    void sum_range(llvm::Value* from, llvm::Value* to);
    void store_results();
    llvm::Value* shared_place(const Operand& operand, llvm::Value* buffer, llvm::Value* step,
                              llvm::Value* point);
    std::int64_t point_of(const Operand& operand, std::int64_t number) const;
    llvm::Value* load_local(std::uint32_t, llvm::Value*) override;
    void store_local(std::uint32_t, llvm::Value*, llvm::Value*) override;

    // Elements behind each row of a tile, so that columns meet other banks; those side by side that a thread brings
    // together, and that it loads at once.
    static constexpr std::int64_t kPad = 4;
    static constexpr std::int64_t kRun = 4;
    static constexpr std::int64_t kFragment = 4;

    const TileSchedule& how_;
    const Reduction& reduction_;
    Operand a_, b_;
    llvm::Value* thread_ = nullptr;
    llvm::Value* in_group_ = nullptr;  // of four threads that share a row of matrices
    std::int64_t rest_ = 1;            // terms for one value of the first axis of the sum
    std::vector<llvm::AllocaInst*> sums_;
    std::int64_t shared_bytes_ = 0;
};

}  // namespace netc
