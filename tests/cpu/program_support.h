// What the numeric tests share: layouts and groups as a test wants them, and the memory of a program
// with its variables and inputs by name.
#pragma once

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/cpu/machine.h"
#include "backends/gpu/simt.h"
#include "backends/interpreter.h"
#include "ir/graph_text.h"
#include "passes/assign_layout.h"
#include "passes/duplicate.h"
#include "passes/fold_pooling.h"
#include "passes/fuse.h"
#include "passes/fuse_linear_activation.h"
#include "passes/hoist.h"
#include "passes/lower_module.h"
#include "passes/pass_runner.h"

namespace netc::testing {

// Numbers by name; integers as doubles.
using Numbers = std::map<std::string, std::vector<double>>;

// ungrouped: every node is a kernel, or a part of its readers'.
enum class Form { ungrouped, rows, lanes, channels };
inline const char* name_of(Form form) {
    switch (form) {
        case Form::ungrouped: return "ungrouped";
        case Form::rows: return "rows";
        case Form::lanes: return "lanes";
        case Form::channels: return "channels";
    }
    return "?";
}

template <class Pass>
void each_body_first(Function& function, Pass pass) {
    for (Function& body : function.bodies) each_body_first(body, pass);
    pass(function);
}

// The passes of `optimize`, with the layout that is asked for, and `lower_module`.
inline Program program_of(Module module, Form form, std::int64_t hint) {
    PassRunner runner;
    const auto run = [&](const char* name, auto pass) {
        const Status status = runner.run(name, module, [&](Module& m) -> Status {
            for (Function& function : m.functions) each_body_first(function, pass);
            return {};
        });
        if (!status) FAIL(name << ": " << to_string(status.error()));
    };
    if (form != Form::ungrouped) {
        const LayoutChoice choice = form == Form::rows       ? LayoutChoice::rows
                                    : form == Form::channels ? LayoutChoice::channels
                                                             : LayoutChoice::lanes;
        run("assign_layout", [&](Function& f) {
            hoist_fixed(f);
            assign_layout(f, hint, choice);
        });
        run("join_parts", join_parts);
        run("fuse_linear_activation",
            [&](Function& function) { fuse_linear_activation(function, hint); });
        run("fold_pooling", fold_pooling);
        run("duplicate", [&](Function& function) { duplicate(function, hint); });
        run("fuse", [&](Function& function) { fuse(function, hint); });
    }
    Result<Program> program = lower_module(module, hint);
    if (!program) FAIL("lower_module: " << to_string(program.error()));
    return std::move(*program);
}

// `cache`: a directory for code. Forms and numbers of threads have most of their kernels in common, and compiling takes
// longer than running them.
inline std::unique_ptr<Executable> jitted(const Program& program, int threads = 1,
                                          const std::string& cpu = "native",
                                          const std::string& cache = {},
                                          const std::string& features = {}) {
    JitOptions options;
    options.threads = threads;
    options.target.cpu = cpu;
    options.target.features = features;
    options.cache_directory = cache;
    auto executable = jit(program, options);
    if (!executable) FAIL(to_string(executable.error()));
    return std::move(*executable);
}

// The processors to compile for: this one and, where it has AVX-512, one without, whose code it runs too. On others
// both would be the same code.
inline const std::vector<std::string>& processors() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all{"native"};
        const auto native = machine_for({"", "native", ""});
        if (native.ok() && native->avx512) all.push_back("x86-64-v3");
        return all;
    }();
    return names;
}

// Code for a GPU on the emulator.
inline std::unique_ptr<Executable> emulated(const Program& program,
                                            const GpuThresholds& thresholds = {},
                                            const std::string& cache = {}) {
    auto executable = emulate_gpu_with(program, thresholds, cache);
    if (!executable) FAIL(to_string(executable.error()));
    return std::move(*executable);
}

inline std::int64_t count_of(const EntryArgument& argument, std::int64_t batch) {
    std::int64_t count = 1;
    for (const Extent extent : argument.dims) count *= extent.at(batch);
    return count;
}

inline double number_at(DType type, const std::byte* from) {
    const auto load = [&](auto value) {
        std::memcpy(&value, from, sizeof value);
        return static_cast<double>(value);
    };
    switch (type) {
        case DType::f64: return load(double{});
        case DType::f32: return load(float{});
        case DType::i64: return load(std::int64_t{});
        case DType::i32: return load(std::int32_t{});
        case DType::i16: return load(std::int16_t{});
        case DType::i8: return load(std::int8_t{});
        case DType::u8:
        case DType::b1: return load(std::uint8_t{});
        case DType::f16:
        case DType::bf16: break;
    }
    FAIL("no numbers of " << name_of(type));
    return 0;
}

inline void put_number(DType type, double number, std::byte* to) {
    const auto store = [&](auto value) { std::memcpy(to, &value, sizeof value); };
    switch (type) {
        case DType::f64: return store(number);
        case DType::f32: return store(static_cast<float>(number));
        case DType::i64: return store(static_cast<std::int64_t>(number));
        case DType::i32: return store(static_cast<std::int32_t>(number));
        case DType::i16: return store(static_cast<std::int16_t>(number));
        case DType::i8: return store(static_cast<std::int8_t>(number));
        case DType::u8:
        case DType::b1: return store(static_cast<std::uint8_t>(number));
        case DType::f16:
        case DType::bf16: break;
    }
    FAIL("no numbers of " << name_of(type));
}

// Aligned bytes between two guards.
class Region {
public:
    explicit Region(std::int64_t size) : size_(size), bytes_(static_cast<std::size_t>(size + 192)) {
        const auto start = reinterpret_cast<std::uintptr_t>(bytes_.data());
        data_ = bytes_.data() + 64 + (64 - start % 64) % 64;
        std::memset(bytes_.data(), kGuard, bytes_.size());
        std::memset(data_, 0, static_cast<std::size_t>(size));
    }
    Region(Region&&) = default;
    std::byte* data() const { return data_; }
    std::int64_t size() const { return size_; }
    bool intact() const {
        for (std::int64_t i = 0; i < 64; ++i) {
            if (data_[-1 - i] != std::byte{kGuard} || data_[size_ + i] != std::byte{kGuard})
                return false;
        }
        return true;
    }

private:
    static constexpr unsigned char kGuard = 0xA5;
    std::int64_t size_;
    std::vector<std::byte> bytes_;
    std::byte* data_ = nullptr;
};

// A program with all its regions, run by any Executable.
class Instance {
public:
    explicit Instance(const Program& program)
        : program_(program), weights_(program.weights_size), prepared_(program.prepared_size),
          optimizer_(program.optimizer_size), hyper_(64) {
        set_hyper(0, 0, std::nan(""));
    }

    void set_hyper(std::int64_t seed, std::int64_t steps_per_epoch, double rate) {
        put_number(DType::i64, static_cast<double>(seed), hyper_.data() + kHyperSeed);
        put_number(DType::i64, static_cast<double>(steps_per_epoch),
                   hyper_.data() + kHyperStepsPerEpoch);
        put_number(DType::f32, rate, hyper_.data() + kHyperRate);
    }
    std::vector<double> variable(const VariablePlace& place) const {
        const std::byte* from = region(place).data() + place.offset;
        std::vector<double> values(static_cast<std::size_t>(place.size / size_of(place.dtype)));
        for (double& value : values) {
            value = number_at(place.dtype, from);
            from += size_of(place.dtype);
        }
        return values;
    }
    void set_variable(const VariablePlace& place, const std::vector<double>& values) {
        std::byte* to = region(place).data() + place.offset;
        for (const double value : values) {
            put_number(place.dtype, value, to);
            to += size_of(place.dtype);
        }
    }
    // All of them, by name.
    Numbers variables() const {
        Numbers all;
        for (const auto* places : {&program_.weights, &program_.slots}) {
            for (const VariablePlace& place : *places) all[place.name] = variable(place);
        }
        return all;
    }
    void set_variables(const Numbers& all) {
        for (const auto* places : {&program_.weights, &program_.slots}) {
            for (const VariablePlace& place : *places) set_variable(place, all.at(place.name));
        }
    }

    // The outputs of an entry. The memory around every region must stay as it is.
    Numbers run(Executable& executable, const std::string& name, const Numbers& inputs,
                std::int64_t batch) {
        const Entry* entry = program_.find(name);
        if (entry == nullptr) FAIL("no entry " << name);
        std::vector<Region> in, out;
        for (const EntryArgument& argument : entry->inputs) {
            const std::int64_t count = count_of(argument, batch), size = size_of(argument.dtype);
            Region& region = in.emplace_back(count * size);
            const std::vector<double>& values = inputs.at(argument.name);
            REQUIRE(values.size() == static_cast<std::size_t>(count));
            for (std::int64_t i = 0; i < count; ++i) {
                put_number(argument.dtype, values[static_cast<std::size_t>(i)],
                           region.data() + i * size);
            }
        }
        for (const EntryArgument& argument : entry->outputs) {
            out.emplace_back(count_of(argument, batch) * size_of(argument.dtype));
        }
        Region workspace(entry->workspace.at(batch));
        // Whoever reads what nobody wrote finds no zeros.
        std::memset(workspace.data(), 0xC7, static_cast<std::size_t>(entry->workspace.at(batch)));
        std::vector<const std::byte*> in_pointers;
        std::vector<std::byte*> out_pointers;
        for (const Region& region : in) in_pointers.push_back(region.data());
        for (const Region& region : out) out_pointers.push_back(region.data());
        CallMemory memory;
        memory.weights = weights_.data();
        memory.prepared = prepared_.data();
        memory.optimizer = optimizer_.data();
        memory.workspace = workspace.data();
        memory.hyper = hyper_.data();
        memory.inputs = in_pointers;
        memory.outputs = out_pointers;
        // A device with memory of its own takes ours, and gives back what its calls changed.
        const std::pair<RegionKind, const Region*> regions[] = {
            {RegionKind::weights, &weights_},
            {RegionKind::prepared, &prepared_},
            {RegionKind::optimizer, &optimizer_}};
        executable.host_changed(RegionKind::hyper);
        for (const auto& [kind, region] : regions) executable.host_changed(kind);
        Status status = executable.run(name, memory, batch);
        for (const auto& [kind, region] : regions) {
            if (status) status = executable.fetch(kind, region->data(), 0, region->size());
        }
        if (!status) FAIL(name << ": " << to_string(status.error()));
        for (const auto* regions : {&in, &out}) {
            for (const Region& region : *regions) CHECK(region.intact());
        }
        for (const Region* region : {&weights_, &prepared_, &optimizer_, &workspace}) {
            CHECK(region->intact());
        }
        Numbers results;
        for (std::size_t r = 0; r < entry->outputs.size(); ++r) {
            const EntryArgument& argument = entry->outputs[r];
            std::vector<double>& values = results[argument.name];
            for (std::int64_t i = 0; i < count_of(argument, batch); ++i) {
                values.push_back(
                    number_at(argument.dtype, out[r].data() + i * size_of(argument.dtype)));
            }
        }
        return results;
    }

private:
    const Region& region(const VariablePlace& place) const {
        return place.kind == VariableKind::slot ? optimizer_ : weights_;
    }

    const Program& program_;
    Region weights_, prepared_, optimizer_, hyper_;
};

// The same entry by the interpreter, in doubles throughout.
inline Numbers run_exact(Interpretation& exact, const Program& program, const std::string& name,
                         const Numbers& inputs, std::int64_t batch) {
    const Entry* entry = program.find(name);
    if (entry == nullptr) FAIL("no entry " << name);
    for (const EntryArgument& argument : entry->inputs) {
        const Status status = exact.set_input(name, argument.name, inputs.at(argument.name));
        if (!status) FAIL(to_string(status.error()));
    }
    if (const Status status = exact.run(name, batch); !status) FAIL(to_string(status.error()));
    Numbers results;
    for (const EntryArgument& argument : entry->outputs) {
        auto values = exact.output(name, argument.name);
        if (!values) FAIL(to_string(values.error()));
        results[argument.name] = std::move(*values);
    }
    return results;
}

inline Interpretation interpretation(const Program& program) {
    Result<Interpretation> made = Interpretation::make(program);
    if (!made) FAIL(to_string(made.error()));
    return std::move(*made);
}

// The first element that differs by more than `tolerance` of the largest of its tensor, as text; empty
// where none does. Not-a-number equals itself, infinities by sign.
inline std::string difference(const Numbers& found, const Numbers& wanted, double tolerance) {
    if (found.size() != wanted.size()) return "different names";
    for (const auto& [name, values] : wanted) {
        const auto at = found.find(name);
        if (at == found.end()) return name + " is missing";
        if (at->second.size() != values.size()) return name + " has another size";
        double scale = 1e-3;
        for (const double value : values) {
            if (std::isfinite(value)) scale = std::max(scale, std::abs(value));
        }
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double a = at->second[i], b = values[i];
            if (a == b || (std::isnan(a) && std::isnan(b))) continue;
            if (std::abs(a - b) <= tolerance * scale) continue;
            return name + "[" + std::to_string(i) + "] is " + std::to_string(a) + ", not " +
                   std::to_string(b) + " (largest " + std::to_string(scale) + ")";
        }
    }
    return {};
}

// Every bit: float values as doubles keep them; zeros have their sign.
inline std::string different_bits(const Numbers& found, const Numbers& wanted) {
    if (found.size() != wanted.size()) return "different names";
    for (const auto& [name, values] : wanted) {
        const std::vector<double>& others = found.at(name);
        if (others.size() != values.size()) return name + " has another size";
        for (std::size_t i = 0; i < values.size(); ++i) {
            const bool both_nan = std::isnan(values[i]) && std::isnan(others[i]);
            if (both_nan || std::memcmp(&values[i], &others[i], sizeof(double)) == 0) continue;
            char text[96];
            std::snprintf(text, sizeof text, "[%zu] is %.9g, not %.9g", i, others[i], values[i]);
            return name + text;
        }
    }
    return {};
}

}  // namespace netc::testing
