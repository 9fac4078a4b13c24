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
    // `many_registers`: each thread keeps more values than most, and may have what two have elsewhere.
    virtual llvm::Function* begin_kernel(llvm::Module& module, const std::string& name,
                                         llvm::ArrayRef<llvm::Type*> parameters, int threads,
                                         bool many_registers) = 0;
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

    virtual llvm::Value* load_shared(Builder& b, llvm::Type* type, llvm::Value* pointer,
                                     llvm::Align align) = 0;
    virtual void store_shared(Builder& b, llvm::Value* value, llvm::Value* pointer,
                              llvm::Align align) = 0;
};

std::unique_ptr<DeviceOps> make_nvptx_ops();
std::unique_ptr<DeviceOps> make_simt_ops();

}  // namespace netc
