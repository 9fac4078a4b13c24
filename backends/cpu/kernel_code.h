// One kernel compiled with a given schedule, for tests and benches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "backends/cpu/machine.h"
#include "backends/cpu/schedule.h"
#include "ir/kernel.h"
#include "ir/result.h"

namespace netc {

class KernelCode {
public:
    virtual ~KernelCode() = default;
    // Iterations begin to end of the outermost loop; gives whether the fault flag was raised.
    virtual bool run(std::span<std::byte* const> params, std::int64_t batch, std::int64_t begin,
                     std::int64_t end) const = 0;
    bool run(std::span<std::byte* const> params, std::int64_t batch) const {
        return run(params, batch, 0, std::int64_t{1} << 60);
    }
    virtual const Kernel& kernel() const = 0;  // functions expanded
    virtual const Schedule& schedule() const = 0;
    virtual const std::string& assembly() const = 0;
};

// `how` null: the scheduler chooses, for `batch_hint`; `batch`: code for exactly that B.
Result<std::unique_ptr<KernelCode>> compile_kernel(const Kernel& kernel, const Schedule* how,
                                                   const Machine& machine, std::int64_t batch_hint,
                                                   std::optional<std::int64_t> batch = std::nullopt,
                                                   bool with_assembly = false);

// Of LLVM, before it has simplified anything: what compiling will take, which for some legal schedules is minutes.
Result<std::size_t> count_instructions(const Kernel& kernel, const Schedule& how,
                                       const Machine& machine);

}  // namespace netc
