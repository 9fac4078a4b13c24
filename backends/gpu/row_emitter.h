// A kernel of rows, of which sixteen neighbouring threads have one: see row_kernel.h. All that a thread keeps are values,
// so the code is without loops; sums are merged by shuffles. A longer row is a warp's: the sum of a lane goes through the
// thread with its first half, then through the one with its second.
#pragma once

#include "backends/gpu/point_emitter.h"
#include "backends/gpu/row_kernel.h"

namespace netc {

class RowEmitter final : public PointEmitter {
public:
    RowEmitter(const Kernel& kernel, const TeamSchedule& how, std::int64_t batch_hint,
               DeviceOps& ops, llvm::Module& module)
        : PointEmitter(kernel, how, batch_hint, ops, module) {}
    // How it is launched.
    Result<GpuLaunch> emit(const std::string& name);

private:
    void find_places();
    void bring_rows(std::size_t stage);
    void emit_stage(const Stage& stage);
    void emit_elements(const Stage& stage);
    Values reduce_row(const Reduction& reduction);
    Values reduce_places(const Reduction& reduction, Values sums);
    void go_to(AxisId axis, std::size_t place);
    llvm::Value* read_cached(std::size_t read) override;
    llvm::Value* load_local(std::uint32_t local, llvm::Value* offset) override;
    void store_local(std::uint32_t local, llvm::Value* offset, llvm::Value* value) override;
    Values& local_values(std::uint32_t local);

    RowKernel row_;
    std::vector<Values> kept_;     // of each row
    std::vector<Values> locals_;   // of each local: a value, or one a place
    Values elements_;              // of the row, that this thread has
    Values exists_;                // whether it does: null where all threads do
    std::size_t place_ = 0;        // the element where the thread is
    llvm::Value* part_ = nullptr;  // of the lane, which this thread has
};

}  // namespace netc
