// The compiler: from a checked network to a Program.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ir/network.h"
#include "ir/program.h"
#include "ir/result.h"
#include "passes/pass_runner.h"
#include "passes/quantize.h"
#include "passes/recompute.h"

namespace netc {

struct CompileOptions {
    // Which of init prepare forward evaluate gradient train_step; empty: all that the input allows
    // (the last three need a train section; one that trains on all data has no train_step).
    std::vector<std::string> entries;
    // The batch that layouts and schedules are made for; every batch is correct.
    std::int64_t batch_hint = 1;
    // Inputs whose gradient `gradient` also gives, as results grad:<input>.
    std::vector<std::string> gradient_inputs;
    // train_step and gradient also give `penalty` (where there is one), train_step `rate`, for the log.
    bool log_results = false;
    // Nothing: that of the train section, or f32.
    std::optional<Precision> precision;
    // The largest tile of Winograd's convolution: 4, 2, or 0 for none. See winograd.h.
    std::int64_t winograd_tile = 4;
    // `forward` also gives the ranges of what contractions read, see quantize.h; or it and `evaluate` are in
    // integers where these are known.
    bool observe_ranges = false;
    std::vector<ValueRange> ranges;
    // All of it in f64 instead of f32, see widen.h.
    bool double_precision = false;
    // The backward pass computes cheap values again instead of keeping them: see recompute.h.
    Recompute recompute = Recompute::automatic;
    // For the kernels of a GPU, which have one contraction each (fuse_linear_activation.h) and no vectors (assign_layout.h).
    bool for_gpu = false;
    // The object's `init` reads no file and has little memory: see initialize.h.
    bool for_object = false;
};

// All that the program depends on, as bytes: equal ones become equal programs.
std::string compile_identity(const Model& model, const TrainSection* section,
                             const CompileOptions& options);
// The functions of the entries, differentiated, with the optimizer step, simplified: target-neutral.
Result<Module> build_module(const Model& model, const TrainSection* section,
                            const CompileOptions& options, PassRunner& run);
// Grouping and layouts, in place: what --stage=optimized shows.
Status optimize(Module& module, const CompileOptions& options, PassRunner& run);
// From there to kernels at their places.
Result<Program> finish_program(Module module, const CompileOptions& options, PassRunner& run);
// All of it.
Result<Program> compile(const Model& model, const TrainSection* section,
                        const CompileOptions& options, PassRunner& run);

}  // namespace netc
