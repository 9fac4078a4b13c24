// What running a program needs to know of its code, without kernels and schedules: which objects, and how
// calls are shared among threads. Small, and kept in the cache beside the program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/cpu/emit_program.h"
#include "backends/cpu/ranking.h"
#include "ir/archive.h"

namespace netc {

struct KernelPlan {
    std::string key;  // of its object in the cache, and of its symbols
    ChunkRule chunks;
    // Operations of a call, as work_of counts them: exact where the batch is a factor of them at most once.
    double work_constant = 0;
    double work_per_sample = 0;
    RankingPlan ranking;

    double work(std::int64_t batch) const {
        return work_constant + work_per_sample * static_cast<double>(batch);
    }
};

struct EntryPlan {
    std::string key;  // of its object
    bool small = false;
    bool ranks = false;  // some call of it may be done by sorting
};

struct ProgramPlan {
    std::vector<KernelPlan> kernels;  // as Program::kernels
    std::vector<EntryPlan> entries;   // as Program::entries
};

ProgramPlan plan_program(const ProgramCode& code);

template <class Archive>
void archive_fields(Archive& archive, ChunkRule& rule) {
    archive(rule.extent.per_batch, rule.extent.constant, rule.unit, rule.tile);
}
template <class Archive>
void archive_fields(Archive& archive, KernelPlan& plan) {
    archive(plan.key, plan.chunks, plan.work_constant, plan.work_per_sample, plan.ranking);
}
template <class Archive>
void archive_fields(Archive& archive, EntryPlan& plan) {
    archive(plan.key, plan.small, plan.ranks);
}
template <class Archive>
void archive_fields(Archive& archive, ProgramPlan& plan) {
    archive(plan.kernels, plan.entries);
}

}  // namespace netc
