// The reference for every backend: runs kernels and programs element by element, floats in double
// precision, integers exactly, reductions in the kernel's order.
//
// `interpret` (backends/backend.h) runs it on the memory of a caller in the program's own types, so
// that every stored value is rounded to them. Interpretation keeps doubles from one entry to the next,
// which finite differences need.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/kernel.h"
#include "ir/program.h"
#include "ir/result.h"

namespace netc {

// A buffer of a kernel or program in wide form: floats in `numbers`, integers and b1 in `integers`,
// one element each, in the layout of the param, element_count() of them.
struct WideBuffer {
    std::vector<double> numbers;
    std::vector<std::int64_t> integers;
};

// Runs one kernel on one buffer per param (resized where it is too small). Gives whether the fault
// flag was raised.
Result<bool> interpret_kernel(const Kernel& kernel, std::span<WideBuffer> params,
                              std::int64_t batch);

// A program with its memory, in double precision.
class Interpretation {
public:
    static Result<Interpretation> make(const Program& program);
    Interpretation(Interpretation&&) noexcept;
    Interpretation& operator=(Interpretation&&) noexcept;
    ~Interpretation();

    void set_hyper(std::int64_t seed, std::int64_t steps_per_epoch, double rate);
    // Elements of an input of an entry, row-major, integers as doubles (exact below 2^53).
    Status set_input(std::string_view entry, std::string_view name, std::span<const double> values);
    // Runs an entry. An Error where it is missing, an input is missing or too short, an index is bad.
    Status run(std::string_view entry, std::int64_t batch);
    // Elements of an output after run.
    Result<std::vector<double>> output(std::string_view entry, std::string_view name) const;
    // Parameters, state and slots, by Module names; row-major.
    Result<std::vector<double>> variable(std::string_view name) const;
    Status set_variable(std::string_view name, std::span<const double> values);

private:
    struct State;
    explicit Interpretation(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace netc
