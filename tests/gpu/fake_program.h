// A small program with all kinds of regions, a loop, an index input and a deferred entry.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "backends/gpu/gpu_jit.h"

namespace netc {

// forward, evaluate: y = 2 w x. train_step: three times w[0] += 1, step += 1; loss = w[0].
inline Program fake_program() {
    Program program;
    program.name = "fake";
    program.model_hash = 7;
    const auto param = [](Direction direction, DType dtype, std::vector<Extent> dims) {
        const std::size_t rank = dims.size();
        return Param{direction, dtype, std::move(dims), row_major(rank)};
    };
    Kernel scale, step;
    scale.params = {param(Direction::in, DType::f32, {{1, 0}, {0, 2}}),
                    param(Direction::in, DType::f32, {{0, 2}}),
                    param(Direction::out, DType::f32, {{1, 0}, {0, 2}}),
                    param(Direction::out, DType::f32, {{1, 0}, {0, 2}})};
    step.params = {param(Direction::in, DType::i32, {{1, 0}}),
                   param(Direction::inout, DType::f32, {{0, 2}}),
                   param(Direction::inout, DType::i64, {}), param(Direction::in, DType::f32, {}),
                   param(Direction::out, DType::f32, {})};
    program.kernels = {scale, step};
    VariablePlace w, count;
    w.name = "w";
    w.dims = {2};
    w.offset = 64;
    w.size = 8;
    count.name = "step";
    count.dtype = DType::i64;
    count.offset = 64;
    count.size = 8;
    count.kind = VariableKind::slot;
    program.weights = {w};
    program.slots = {count};
    program.weights_size = program.optimizer_size = 128;
    const auto ref = [](RegionKind region, std::int64_t offset) {
        BufferRef buffer;
        buffer.region = region;
        buffer.offset.constant = offset;
        return buffer;
    };
    Entry forward;
    forward.inputs = {{"x", DType::f32, {{1, 0}, {0, 2}}, ""}};
    forward.outputs = {{"y", DType::f32, {{1, 0}, {0, 2}}, ""}};
    forward.calls = {{0,
                      {ref(RegionKind::input, 0), ref(RegionKind::weights, 64),
                       ref(RegionKind::workspace, 64), ref(RegionKind::output, 0)},
                      "scale",
                      0}};
    forward.workspace = {.constant = 64, .per_16 = 128};
    forward.reads_weights = true;
    for (const char* name : {"forward", "evaluate"}) {
        forward.name = name;
        program.entries.push_back(forward);
    }
    Entry train;
    train.name = "train_step";
    train.inputs = {{"ids", DType::i32, {{1, 0}}, ""}};
    train.outputs = {{"loss", DType::f32, {}, ""}};
    train.calls = {
        {1,
         {ref(RegionKind::input, 0), ref(RegionKind::weights, 64), ref(RegionKind::optimizer, 64),
          ref(RegionKind::hyper, kHyperRate), ref(RegionKind::output, 0)},
         "step",
         0}};
    train.loops = {{0, 1, 3}};
    train.index_ranges = {{0, 100, 0}};
    train.reads_weights = train.writes_weights = true;
    train.reads_optimizer = train.writes_optimizer = true;
    program.entries.push_back(train);
    return program;
}

}  // namespace netc
