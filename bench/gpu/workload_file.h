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

// A call and what it gave on the CPU. Its inputs are made from the seed.
struct Expected {
    std::string entry;
    std::int64_t batch = 1;
    std::uint32_t seed = 0;
    std::vector<std::uint64_t> outputs;  // hashes of their bytes
    std::vector<double> firsts;          // first numbers of f32 outputs: losses
};

struct Workload {
    std::string name;
    std::string entry;       // that is timed
    std::int64_t batch = 1;  // at which it is timed, and for which the code was scheduled
    double flops = 0,
           bytes = 0;  // of a call: multiply-adds count two; what must be read and written at least
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
    archive(call.entry, call.batch, call.seed, call.outputs, call.firsts);
}
template <class Archive>
void archive_fields(Archive& archive, Workload& workload) {
    archive(workload.name, workload.entry, workload.batch, workload.flops, workload.bytes,
            workload.kernel, workload.program, workload.params, workload.code, workload.calls,
            workload.variables);
}

inline constexpr std::uint64_t kSeed = 7;  // of initial weights

// Of bytes, a word at a time: two results that differ in a bit differ here.
inline std::uint64_t hash_of(const std::byte* bytes, std::size_t size) {
    std::uint64_t hash = 0xcbf29ce484222325u ^ size;
    for (std::size_t i = 0; i < size; i += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes + i, std::min(sizeof word, size - i));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

// Numbers of -1 .. 1, labels within their range; the same on each machine.
std::vector<std::vector<std::byte>> inputs_of(const Entry& entry, std::int64_t batch,
                                              std::uint32_t seed);

}  // namespace netc::gpu_bench
