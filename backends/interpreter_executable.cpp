// The interpreter as an Executable: runs on the caller's memory in the program's own types. Values are
// double inside of a kernel and rounded where they are stored.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "backends/backend.h"
#include "backends/interpreter_kernel.h"

namespace netc {
namespace {

using interpreter::KernelMachine;
using interpreter::Value;
using interpreter::View;

template <class T>
T load_as(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
void store_as(std::byte* to, T value) {
    std::memcpy(to, &value, sizeof value);
}

// To the nearest, ties to even.
std::uint16_t to_bf16(double number) {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(number));
    if (std::isnan(number)) return static_cast<std::uint16_t>((bits >> 16) | 0x40);
    return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

Value load(DType type, const std::byte* from) {
    switch (type) {
        case DType::f64: return {.number = load_as<double>(from)};
        case DType::f32: return {.number = double{load_as<float>(from)}};
        case DType::bf16: {
            const auto bits = static_cast<std::uint32_t>(load_as<std::uint16_t>(from)) << 16;
            return {.number = double{std::bit_cast<float>(bits)}};
        }
        case DType::i64: return {.integer = load_as<std::int64_t>(from)};
        case DType::i32: return {.integer = load_as<std::int32_t>(from)};
        case DType::f16:  // refused before: see `interpret`
        case DType::i16: return {.integer = load_as<std::int16_t>(from)};
        case DType::i8: return {.integer = load_as<std::int8_t>(from)};
        case DType::u8:
        case DType::b1: return {.integer = load_as<std::uint8_t>(from)};
    }
    return {.integer = 0};
}

void store(DType type, Value value, std::byte* to) {
    switch (type) {
        case DType::f64: return store_as(to, value.number);
        case DType::f32: return store_as(to, static_cast<float>(value.number));
        case DType::bf16: return store_as(to, to_bf16(value.number));
        case DType::i64: return store_as(to, value.integer);
        case DType::i32: return store_as(to, static_cast<std::int32_t>(value.integer));
        case DType::f16:
        case DType::i16: return store_as(to, static_cast<std::int16_t>(value.integer));
        case DType::i8: return store_as(to, static_cast<std::int8_t>(value.integer));
        case DType::u8:
        case DType::b1: return store_as(to, static_cast<std::uint8_t>(value.integer));
    }
}

class Interpreter final : public Executable {
public:
    explicit Interpreter(Program program) : program_(std::move(program)) {}

    const Program& program() const override { return program_; }

    Status run(std::string_view name, const CallMemory& memory, std::int64_t batch) override {
        const Entry* const entry = program_.find(name);
        if (entry == nullptr) {
            return Error{.status = kExitInternal, .message = fmt::format("no entry `{}`", name)};
        }
        if (Status status = check_batch(*entry, batch); !status) return status;
        if (Status status = check_ranges(*entry, memory, batch); !status) return status;
        return run_calls(*entry, [&](const Call& call, const std::vector<std::int64_t>& steps) {
            return run(*entry, call, memory, batch, steps);
        });
    }

private:
    static Status check_ranges(const Entry& entry, const CallMemory& memory, std::int64_t batch) {
        for (const Entry::IndexRange& range : entry.index_ranges) {
            const EntryArgument& input = entry.inputs[range.input];
            std::int64_t count = 1;
            for (Extent dim : input.dims) count *= dim.at(batch);
            for (std::int64_t i = 0; i < count; ++i) {
                const std::byte* const at = memory.inputs[range.input] + i * size_of(input.dtype);
                const std::int64_t value = load(input.dtype, at).integer;
                if (range.holds(value) || !range.covers(i)) continue;
                return Error{.status = kExitRun,
                             .message = fmt::format("`{}` holds {}, which is not in 0 .. {}",
                                                    input.name, value, range.limit - 1)};
            }
        }
        return {};
    }

    static std::byte* place(const BufferRef& buffer, const CallMemory& memory, std::int64_t batch,
                            const std::vector<std::int64_t>& steps) {
        const std::int64_t offset = buffer.offset_at(batch, steps);
        switch (buffer.region) {
            case RegionKind::weights: return memory.weights + offset;
            case RegionKind::prepared: return memory.prepared + offset;
            case RegionKind::optimizer: return memory.optimizer + offset;
            case RegionKind::workspace: return memory.workspace + offset;
            case RegionKind::hyper: return memory.hyper + offset;
            // Never written: inputs are params of direction `in`.
            case RegionKind::input:
                return const_cast<std::byte*>(memory.inputs[buffer.number]) + offset;
            case RegionKind::output: return memory.outputs[buffer.number] + offset;
        }
        return nullptr;
    }

    Status run(const Entry& entry, const Call& call, const CallMemory& memory, std::int64_t batch,
               const std::vector<std::int64_t>& steps) {
        const Kernel& kernel = program_.kernels[call.kernel];
        std::vector<std::vector<Value>> wide;
        std::vector<View> views;
        for (std::size_t k = 0; k < kernel.params.size(); ++k) {
            const DType type = kernel.params[k].dtype;
            const std::byte* const from = place(call.arguments[k], memory, batch, steps);
            auto& buffer =
                wide.emplace_back(static_cast<std::size_t>(element_count(kernel.params[k], batch)));
            for (std::size_t i = 0; i < buffer.size(); ++i) {
                buffer[i] = load(type, from + static_cast<std::int64_t>(i) * size_of(type));
            }
        }
        for (auto& buffer : wide) {
            views.push_back({buffer.data(), 1, static_cast<std::int64_t>(buffer.size())});
        }
        KernelMachine machine(kernel, batch);
        const std::string where = fmt::format("{}: {}: ", entry.name, call.label);
        if (const std::string wrong = machine.run(views); !wrong.empty()) {
            return Error{.status = kExitInternal, .message = where + wrong};
        }
        for (std::size_t k = 0; k < kernel.params.size(); ++k) {
            if (kernel.params[k].direction == Direction::in) continue;
            const DType type = kernel.params[k].dtype;
            std::byte* const to = place(call.arguments[k], memory, batch, steps);
            for (std::size_t i = 0; i < wide[k].size(); ++i) {
                store(type, wide[k][i], to + static_cast<std::int64_t>(i) * size_of(type));
            }
        }
        if (!machine.fault()) return {};
        return Error{.status = kExitRun,
                     .message = where + "an index among the data is out of range"};
    }

    Program program_;
};

}  // namespace

Result<std::unique_ptr<Executable>> interpret(const Program& program) {
    for (const Kernel& kernel : program.kernels) {
        if (Status status = verify(kernel); !status) return status.error();
        for (const Param& param : kernel.params) {
            if (param.dtype == DType::f16) {
                return Error{.status = kExitProgram,
                             .message = "the interpreter has no f16 buffers yet"};
            }
        }
    }
    return std::unique_ptr<Executable>(std::make_unique<Interpreter>(program));
}

}  // namespace netc
