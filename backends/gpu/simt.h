// A grid of threads on the host: what code for GPUs is tested on where there is none.
//
// Blocks run one after the other. The threads of a block are fibers: each runs until it ends or waits, at a barrier
// for the block, at a shuffle for its warp. Accesses to shared memory are checked (simt_shared.h): a race is an error; so
// is a barrier that a thread never reaches, an access outside of what the block has, or one that is not
// aligned.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backends/backend.h"

namespace netc {

// What emitted code sees of the thread that runs it; simt_ops.cpp reads the first three.
struct SimtThread {
    std::int32_t thread = 0;
    std::int32_t block = 0;
    void* shared = nullptr;
    class SimtBlock* owner = nullptr;
};

// Arguments as cuLaunchKernel takes them: the address of each value.
using SimtFunction = void (*)(void** arguments, SimtThread* thread);

// Runs all blocks. What went wrong, in words; empty where nothing did.
std::string run_simt_grid(SimtFunction function, void** arguments, std::int64_t blocks, int threads,
                          std::int64_t shared_bytes);

// emulate_gpu, with a directory that keeps code: kernels that schedules have in common are compiled once.
Result<std::unique_ptr<Executable>> emulate_gpu_with(const Program& program,
                                                     const GpuThresholds& thresholds,
                                                     const std::string& cache_directory);

}  // namespace netc

// Called by emitted code.
extern "C" {
void netc_simt_barrier(netc::SimtThread* thread);
std::uint32_t netc_simt_shuffle_xor(netc::SimtThread* thread, std::uint32_t value,
                                    std::uint32_t mask);
// Of a warp: words 0..3 of one matrix, 4 and 5 of the other, 6..9 the sums, which are replaced.
void netc_simt_multiply(netc::SimtThread* thread, std::uint32_t is_bf16, std::uint32_t* words);
void netc_simt_read(netc::SimtThread* thread, const void* place, std::uint32_t bytes,
                    std::uint32_t alignment);
void netc_simt_write(netc::SimtThread* thread, const void* place, std::uint32_t bytes,
                     std::uint32_t alignment);
// What device_ops.h says of the operations of these names.
void netc_simt_copy_async(netc::SimtThread* thread, void* place, const void* source,
                          std::uint32_t bytes, std::uint32_t filled);
void netc_simt_commit_copies(netc::SimtThread* thread);
void netc_simt_wait_for_copies(netc::SimtThread* thread, std::uint32_t pending);
void netc_simt_load_matrices(netc::SimtThread* thread, const void* row, std::uint32_t transposed,
                             std::uint32_t* words);
void netc_simt_fence_shared(netc::SimtThread* thread);
// `shape`: 1 for bf16, 2 and 4 where the sum does not run along the memory of a and of b, 8 a column. Descriptors of
// a and b in turn.
void netc_simt_multiply_warpgroup(netc::SimtThread* thread, std::uint32_t shape,
                                  const std::uint64_t* descriptors, std::uint32_t count,
                                  float* sums);
void netc_simt_wait_for_products(netc::SimtThread* thread, std::uint32_t pending, float* sums);
void netc_simt_init_phases(netc::SimtThread* thread, void* barrier, std::uint32_t arrivals);
void netc_simt_arrive(netc::SimtThread* thread, void* barrier, std::uint32_t expected);
void netc_simt_wait_for_phase(netc::SimtThread* thread, void* barrier, std::uint32_t parity);
void netc_simt_copy_box(netc::SimtThread* thread, void* place, const void* tensor_map,
                        const std::int32_t* coordinates, std::uint32_t count, void* barrier);
}
