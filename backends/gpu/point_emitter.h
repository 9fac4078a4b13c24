// Where a thread of a team schedule works: its point of the outer axes, and which member of the point's team it is.
#pragma once

#include "backends/gpu/gpu_emitter.h"
#include "backends/gpu/team_schedule.h"

namespace netc {

class PointEmitter : public GpuEmitter {
protected:
    PointEmitter(const Kernel& kernel, const TeamSchedule& how, std::int64_t batch_hint,
                 DeviceOps& ops, llvm::Module& module)
        : GpuEmitter(kernel, batch_hint, ops, module), how_(how), slots_(how.threads() / how.team) {
    }
    // A member of a team whose point does not exist goes to one that does, with active_ false: what all threads of a block
    // or of a warp do together stays together.
    void find_point();

    const TeamSchedule& how_;
    std::int64_t slots_;             // teams of a block
    llvm::Value* member_ = nullptr;  // of the team
    llvm::Value* point_ = nullptr;   // in the block
    llvm::Value* slot_ = nullptr;    // of the team in the block, whether its point exists or not
};

}  // namespace netc
