// What code for a GPU is made of besides ordinary instructions: about a dozen operations that only a grid of threads
// has. Two implementations: NVPTX's intrinsics (nvptx_ops.cpp), and calls into the emulator of simt.h for
// code that runs on the host (simt_ops.cpp). Emitters know no other difference between the two.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "backends/gpu/gpu_code.h"
#include "backends/gpu/gpu_thresholds.h"
#include "backends/llvm.h"

namespace netc {

class DeviceOps {
public:
    using Builder = llvm::IRBuilder<>;
    virtual ~DeviceOps() = default;

    virtual unsigned global_space() const = 0;
    virtual unsigned shared_space() const = 0;

    // The function of a kernel with these parameters, and what it starts with. `parameter(k)` in its body.
    // `many_registers`: each thread keeps more values than most, and may have what two have elsewhere. So many tensor
    // maps are parameters behind the others; of them parameter() gives the address.
    virtual llvm::Function* begin_kernel(llvm::Module& module, const std::string& name,
                                         llvm::ArrayRef<llvm::Type*> parameters, int threads,
                                         bool many_registers, unsigned tensor_maps) = 0;
    virtual llvm::Value* parameter(unsigned number) = 0;

    virtual llvm::Value* thread(Builder& b) = 0;  // i32: number of this thread in its block
    virtual llvm::Value* block(Builder& b) = 0;   // i32: number of the block in the grid
    virtual llvm::Value* shared(Builder& b) = 0;  // start of the block's shared memory
    virtual void barrier(Builder& b) = 0;         // of all threads of the block
    // The i32 of the thread whose number differs by `mask` (< 32); all threads of a warp take part.
    virtual llvm::Value* shuffle_xor(Builder& b, llvm::Value* value, unsigned mask) = 0;

    // One product of a warp's matrices, 16 x k by k x 8, added to c: k is 16 for bf16, two to a word, and 8 for tf32. The
    // words and sums of a thread are those of PTX's mma.m16n8k16 and m16n8k8: 4 of a, 2 of b, 4 of c.
    virtual std::array<llvm::Value*, 4> multiply_matrices(Builder& b, MatrixUnit unit,
                                                          llvm::ArrayRef<llvm::Value*> x,
                                                          llvm::ArrayRef<llvm::Value*> y,
                                                          llvm::ArrayRef<llvm::Value*> c) = 0;

    // Of a row of 16 bytes in shared memory that each thread of a warp names: those of threads 0..7 are a matrix of 8
    // x 8 elements of two bytes, or 8 x 4 of four, and so on to the fourth. Word k of a thread is of matrix k: the
    // elements that multiply_matrices wants of it where rows of the matrix lie along the sum; `transposed`: columns
    // do, of two bytes.
    virtual std::array<llvm::Value*, 4> load_matrices(Builder& b, llvm::Value* row,
                                                      bool transposed) = 0;

    // ---- copies beside the thread, in groups ----------------------------------------------------------
    // 4 or 16 bytes from global to shared memory, both aligned to that; zeros where `exists` is false (null: it is true).
    virtual void copy_async(Builder& b, llvm::Value* shared, llvm::Value* global, unsigned bytes,
                            llvm::Value* exists) = 0;
    virtual void commit_copies(Builder& b) = 0;  // those since the last commit are a group
    // Until no more than so many groups of this thread are under way; other threads see the copies behind a barrier.
    virtual void wait_for_copies(Builder& b, unsigned pending) = 0;

    // ---- products beside the thread, by warpgroups of 128 (sm_90a) ------------------------------------
    // Of matrices in shared memory, 64 x k by k x columns, as descriptors say where they lie: k is 16 for bf16, 8 for
    // tf32.
    struct WarpgroupProduct {
        MatrixUnit unit = MatrixUnit::none;
        unsigned columns = 0;
        bool a_across = false, b_across = false;  // the sum does not run along memory
    };
    // What a descriptor counts addresses in: bytes from the start of shared memory. An i32.
    virtual llvm::Value* shared_address(Builder& b, llvm::Value* pointer) = 0;
    // What this thread wrote to shared memory is there for products behind the next barrier.
    virtual void fence_shared(Builder& b) = 0;
    // Begins a group of products that are added to the sums, for each pair of descriptors one. A thread has sums of
    // two rows of its warp's 16, for m16n8 beside m16n8: as those of multiply_matrices. They are of no use before
    // there was a wait.
    virtual llvm::SmallVector<llvm::Value*> multiply_warpgroup(
        Builder& b, const WarpgroupProduct& product, llvm::ArrayRef<llvm::Value*> a_descriptors,
        llvm::ArrayRef<llvm::Value*> b_descriptors, llvm::ArrayRef<llvm::Value*> sums) = 0;
    // Until no more than so many groups of this warpgroup are under way; with none the sums are what it gives.
    virtual llvm::SmallVector<llvm::Value*>
    wait_for_products(Builder& b, llvm::ArrayRef<llvm::Value*> sums, unsigned pending) = 0;

    // ---- copies of boxes of a tensor, and the barriers in shared memory that count them (sm_90) --------
    // Such a barrier has 8 bytes. It goes through phases: each ends when so many threads have arrived and the bytes
    // that were expected in it are there. One thread makes it, and fences and meets the others before it is used.
    virtual void init_phases(Builder& b, llvm::Value* barrier, unsigned arrivals) = 0;
    virtual void arrive(Builder& b, llvm::Value* barrier) = 0;
    virtual void arrive_and_expect(Builder& b, llvm::Value* barrier, std::int64_t bytes) = 0;
    // Until the phase of this parity has ended, the first one's being 0; the parity 1 has ended at the start.
    virtual void wait_for_phase(Builder& b, llvm::Value* barrier, llvm::Value* parity) = 0;
    // Begins the copy of one box that begins at these coordinates, the innermost first, to a multiple of 128 bytes,
    // swizzled as its rows are long; its bytes count in the barrier's phase. The box is the tensor map's.
    virtual void copy_box(Builder& b, llvm::Value* shared, llvm::Value* tensor_map,
                          llvm::ArrayRef<llvm::Value*> coordinates, llvm::Value* barrier) = 0;

    virtual llvm::Value* load_shared(Builder& b, llvm::Type* type, llvm::Value* pointer,
                                     llvm::Align align) = 0;
    virtual void store_shared(Builder& b, llvm::Value* value, llvm::Value* pointer,
                              llvm::Align align) = 0;
};

std::unique_ptr<DeviceOps> make_nvptx_ops();
std::unique_ptr<DeviceOps> make_simt_ops();

}  // namespace netc
