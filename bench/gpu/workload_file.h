// A network that was compiled ahead for GPUs, as a file: its program, its code for two architectures, and what the CPU
// computed, which a GPU is to compute as well. Written by pack.cpp, read by run.cpp, of the same build.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "backends/gpu/gpu_archive.h"

namespace netc::gpu_bench {

struct PackedCode {
    std::string target;  // sm_80, sm_90a
    std::string image;   // a cubin, or PTX
    std::vector<GpuKernel> kernels;
};

// A call and what it gave on the CPU.
struct Expected {
    std::string entry;
    std::int64_t batch = 1;
    std::uint32_t seed = 0;              // that its inputs are made from,
    std::vector<std::string> inputs;     // if they are not here
    std::vector<std::uint64_t> outputs;  // hashes
    std::vector<double> firsts;          // first numbers of f32 outputs: losses
};

struct Workload {
    std::string name;
    std::string entry;       // that is timed
    std::int64_t batch = 1;  // at which it is timed, and for which the code was scheduled
    double flops = 0,
           bytes = 0;  // of a call: multiply-adds count two; what must be read and written at least
    // Where not 0, of modes that matrix units compute: how far a first number may be from the CPU's, relative to it.
    double bound = 0;
    std::string kernel;  // where not empty, the time of kernels with this in their label counts
    Program program;     // without kernels
    std::vector<std::vector<Param>> params;
    std::vector<PackedCode> code;
    std::vector<Expected> calls;           // in turn, after `init`
    std::vector<std::uint64_t> variables;  // hashes after the calls: weights, then slots
};

template <class Archive>
void archive_fields(Archive& archive, PackedCode& code) {
    archive(code.target, code.image, code.kernels);
}
template <class Archive>
void archive_fields(Archive& archive, Expected& call) {
    archive(call.entry, call.batch, call.seed, call.inputs, call.outputs, call.firsts);
}
template <class Archive>
void archive_fields(Archive& archive, Workload& workload) {
    archive(workload.name, workload.entry, workload.batch, workload.flops, workload.bytes,
            workload.bound, workload.kernel, workload.program, workload.params, workload.code,
            workload.calls, workload.variables);
}

inline constexpr std::uint64_t kSeed = 7;  // of initial weights
// Names of what has the samples of one operator begin so.
inline constexpr std::string_view kOperator = "operator ";

// Of a tensor, an element at a time: two that differ in a bit differ here. A NaN is as good as any other.
inline std::uint64_t hash_of(DType dtype, const std::byte* bytes, std::size_t size) {
    std::uint64_t hash = 0xcbf29ce484222325u ^ size;
    const auto step = static_cast<std::size_t>(size_of(dtype));
    for (std::size_t i = 0; i < size; i += step) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes + i, step);
        float single = 0;
        std::memcpy(&single, bytes + i, std::min(step, sizeof single));
        double wide = 0;
        std::memcpy(&wide, bytes + i, std::min(step, sizeof wide));
        if ((dtype == DType::f32 && single != single) || (dtype == DType::f64 && wide != wide))
            word = ~std::uint64_t{0};
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

// Numbers of -1 .. 1, labels within their range; the same on each machine.
std::vector<std::vector<std::byte>> inputs_of(const Entry& entry, std::int64_t batch,
                                              std::uint32_t seed);

}  // namespace netc::gpu_bench
