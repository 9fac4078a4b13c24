// Programs to code for a GPU: each kernel becomes a function of one PTX module, with the rule by which it is
// launched. The functions are
//
//     .entry NAME(.u64 param 0, ..., .u64 scratch 0, ..., .u32 B, .u64 fault, .b8 tensor map 0[128], ...)
//
// with addresses in device memory in the order of Kernel::params, then those of scratch memory; `fault` is an i32 that becomes 1 where an index
// among the data is out of range. The same functions, compiled for the host, run on the emulator (simt.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/program.h"
#include "ir/result.h"

namespace netc {

// A grid is one-dimensional: the product over its factors of ceil(ceil(extent / unit) * times / points).
struct GridFactor {
    Extent extent{0, 1};
    std::int64_t points = 1;  // that a block covers
    std::int64_t unit = 1;    // elements of the extent that count as one
    std::int64_t times = 1;
    std::int64_t at(std::int64_t batch) const {
        const std::int64_t units = (extent.at(batch) + unit - 1) / unit;
        return (units * times + points - 1) / points;
    }
};

// A parameter as a tensor, of which the device copies boxes to shared memory by itself (cp.async.bulk.tensor), zeros
// beyond the end of a dimension. The driver makes a tensor map of it for an address and a batch.
struct GpuTensor {
    struct Dim {
        Extent extent;
        std::int64_t stride = 1;  // elements; of the first, 1
        std::int64_t box = 1;     // elements of a copy
    };
    std::uint32_t param = 0;  // or scratch, in the order of the launch
    DType dtype = DType::f32;
    std::int64_t start = 0;  // elements behind the parameter's first
    std::vector<Dim> dims;   // the innermost first, five at most
    // Bytes of a box that lie side by side: the length of a row of the swizzled pattern, 128, 64 or 32.
    std::int64_t row_bytes() const { return dims[0].box * size_of(dtype); }
};

struct GpuLaunch {
    std::string symbol;
    int threads = 1;                // of a block
    std::int64_t shared_bytes = 0;  // dynamic shared memory of a block
    std::vector<GridFactor> grid;
    std::vector<GpuTensor> tensors = {};
    std::int64_t blocks(std::int64_t batch) const {
        std::int64_t count = 1;
        for (const GridFactor& factor : grid) count *= factor.at(batch);
        return count;
    }
};

// A kernel: what is launched, one after the other, and memory that lives from the first launch to the last.
struct GpuKernel {
    std::vector<GpuLaunch> launches;
    std::vector<Param> scratch;
    // Of one of them; each begins at a multiple of kAlignment.
    static std::int64_t scratch_bytes(const Param& param, std::int64_t batch) {
        return round_up(element_count(param, batch) * size_of(param.dtype));
    }
    std::int64_t scratch_bytes(std::int64_t batch) const {
        std::int64_t bytes = 0;
        for (const Param& param : scratch) bytes += scratch_bytes(param, batch);
        return bytes;
    }
};

struct GpuTarget {
    int sm = 80;        // 90 for sm_90
    bool arch = false;  // sm_90a: instructions of this architecture alone
    bool tf32 = false;  // products of f32 by matrix units, which round their operands
    std::string name() const { return "sm_" + std::to_string(sm) + (arch ? "a" : ""); }
};

struct GpuCode {
    std::string ptx;
    std::vector<GpuKernel> kernels;  // by number; without launches where no entry calls it
};

// Code of all kernels that these entries call (empty: all).
// Error: a kernel for which no code can be made (status 70).
Result<GpuCode> emit_gpu_code(const Program& program, const std::vector<std::string>& entries,
                              const GpuTarget& target);

}  // namespace netc
