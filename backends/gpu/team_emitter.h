// A kernel whose points are the work of teams, see team_schedule.h.
#pragma once

#include "backends/gpu/point_emitter.h"

namespace netc {

class TeamEmitter final : public PointEmitter {
public:
    TeamEmitter(const Kernel& kernel, const TeamSchedule& how, std::int64_t batch_hint,
                DeviceOps& ops, llvm::Module& module)
        : PointEmitter(kernel, how, batch_hint, ops, module) {}
    // How it is launched.
    Result<GpuLaunch> emit(const std::string& name);

private:
    void emit_stages();
    void emit_stage(const Stage& stage);
    void emit_own(const Stage& stage);
    void emit_vector(const Stage& stage);
    void run_places(const Stage& stage);  // of the tile of a thread that works alone
    Places places_of(const Stage& stage);
    bool few_own(const Stage& stage) const;
    std::int64_t tile_points() const;
    std::int64_t values_at_once() const;
    void at_place(std::size_t place) override;
    llvm::Value* own_local(std::uint32_t local, llvm::Value* offset);
    void run_alone(const Stage& stage);  // at one point of the stage, by this thread
    void reduce_together(const Stage& stage);
    void share_lanes(const Reduction& reduction, std::vector<llvm::AllocaInst*>& sums);
    void share_leaves(const Reduction& reduction, std::vector<llvm::AllocaInst*>& totals);
    void plan_shared();
    void find_rows();
    void bring_rows();
    llvm::Value* read_cached(std::size_t read) override;
    std::int64_t padded(std::int64_t size) const;
    llvm::Value* load_local(std::uint32_t local, llvm::Value* offset) override;
    void store_local(std::uint32_t local, llvm::Value* offset, llvm::Value* value) override;
    llvm::Value* shared_address(std::int64_t start, std::int64_t size, llvm::Value* offset,
                                llvm::Type* type);
    llvm::Value* scratch(const Reduction& reduction, std::size_t state, llvm::Value* member);
    bool alone() const { return how_.team == 1; }
    // Whether the sixteen members with a lane each are neighbours.
    bool lanes_in_warp() const { return how_.members_fastest && how_.team >= kLanes; }

    std::vector<llvm::AllocaInst*> own_locals_;  // team 1, of each point of the tile
    std::vector<Values> tile_values_;            // of each axis of the tile
    std::size_t tile_point_ = 0, places_per_point_ = 1;
    std::vector<std::int64_t> local_start_;  // bytes into shared memory
    // Rows of a param that several stages read, and that therefore are brought to shared memory first.
    struct Row {
        std::vector<std::size_t> reads;  // of the kernel
        std::vector<AxisId> axes;        // along the row, of each of them
        std::int64_t extent = 0, start = 0;
    };
    std::vector<Row> rows_;
    std::int64_t scratch_start_ = 0;
    std::int64_t shared_bytes_ = 0;
};

}  // namespace netc
