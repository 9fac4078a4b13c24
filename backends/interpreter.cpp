// The interpreter's two ways to run: one kernel on buffers of doubles, and a whole program.
#include "backends/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "backends/interpreter_kernel.h"

namespace netc {

using interpreter::KernelMachine;
using interpreter::Value;
using interpreter::View;

Result<bool> interpret_kernel(const Kernel& kernel, std::span<WideBuffer> params,
                              std::int64_t batch) {
    if (Status status = verify(kernel); !status) return status.error();
    if (params.size() != kernel.params.size()) {
        return Error{.status = kExitInternal,
                     .message = fmt::format("the kernel has {} params, {} buffers are given",
                                            kernel.params.size(), params.size())};
    }
    std::vector<std::vector<Value>> memory;
    std::vector<View> views;
    for (std::size_t k = 0; k < params.size(); ++k) {
        const Param& param = kernel.params[k];
        const auto count = static_cast<std::size_t>(element_count(param, batch));
        memory.emplace_back(count);
        if (is_float(param.dtype)) {
            params[k].numbers.resize(std::max(count, params[k].numbers.size()));
        } else {
            params[k].integers.resize(std::max(count, params[k].integers.size()));
        }
        for (std::size_t i = 0; i < count; ++i) {
            if (is_float(param.dtype)) {
                memory[k][i].number = params[k].numbers[i];
            } else {
                memory[k][i].integer = params[k].integers[i];
            }
        }
    }
    for (std::vector<Value>& buffer : memory) {
        views.push_back({buffer.data(), 1, static_cast<std::int64_t>(buffer.size())});
    }
    KernelMachine machine(kernel, batch);
    if (const std::string wrong = machine.run(views); !wrong.empty()) {
        return Error{.status = kExitInternal, .message = "kernel: " + wrong};
    }
    for (std::size_t k = 0; k < params.size(); ++k) {
        for (std::size_t i = 0; i < memory[k].size(); ++i) {
            if (is_float(kernel.params[k].dtype)) {
                params[k].numbers[i] = memory[k][i].number;
            } else {
                params[k].integers[i] = memory[k][i].integer;
            }
        }
    }
    return machine.fault();
}

// Regions hold one value for each `granule` bytes, so that the offsets of a Program work as they are.
struct Interpretation::State {
    Program program;
    std::int64_t granule = 8;
    std::vector<Value> weights, prepared, optimizer, workspace, hyper;
    std::map<std::string, std::vector<std::vector<Value>>, std::less<>> inputs,
        outputs;                                               // by entry
    std::map<std::string, std::int64_t, std::less<>> batches;  // of the last run of an entry
    std::map<std::pair<std::uint32_t, std::int64_t>, std::unique_ptr<KernelMachine>> machines;

    std::vector<Value>* region(const Entry& entry, const BufferRef& buffer);
    const VariablePlace* find(std::string_view name, bool& is_slot) const;
    Status call(const Entry& entry, const Call& call, std::int64_t batch,
                const std::vector<std::int64_t>& steps);
};

namespace {

Error bug(std::string message) { return {.status = kExitInternal, .message = std::move(message)}; }

std::int64_t count_of(const EntryArgument& argument, std::int64_t batch) {
    std::int64_t count = 1;
    for (Extent dim : argument.dims) count *= dim.at(batch);
    return count;
}

Value as(double number, DType type) {
    Value value;
    if (is_float(type)) {
        value.number = number;
    } else {
        value.integer = static_cast<std::int64_t>(number);
    }
    return value;
}

double as_double(Value value, DType type) {
    return is_float(type) ? value.number : static_cast<double>(value.integer);
}

std::size_t slots(std::int64_t bytes, std::int64_t granule) {
    return static_cast<std::size_t>((bytes + granule - 1) / granule);
}

}  // namespace

Interpretation::Interpretation(std::unique_ptr<State> state) : state_(std::move(state)) {}
Interpretation::Interpretation(Interpretation&&) noexcept = default;
Interpretation& Interpretation::operator=(Interpretation&&) noexcept = default;
Interpretation::~Interpretation() = default;

Result<Interpretation> Interpretation::make(const Program& program) {
    auto state = std::make_unique<State>();
    state->program = program;
    for (const Kernel& kernel : program.kernels) {
        if (Status status = verify(kernel); !status) return status.error();
        for (const Param& param : kernel.params) {
            state->granule = std::min(state->granule, size_of(param.dtype));
        }
    }
    state->granule = std::min<std::int64_t>(state->granule, 4);
    const Value zero{.integer = 0};
    state->weights.assign(slots(program.weights_size, state->granule), zero);
    state->prepared.assign(slots(program.prepared_size, state->granule), zero);
    state->optimizer.assign(slots(program.optimizer_size, state->granule), zero);
    state->hyper.assign(slots(kAlignment, state->granule), zero);
    return Interpretation(std::move(state));
}

void Interpretation::set_hyper(std::int64_t seed, std::int64_t steps_per_epoch, double rate) {
    const auto at = [&](std::int64_t offset) -> Value& {
        return state_->hyper[static_cast<std::size_t>(offset / state_->granule)];
    };
    at(kHyperSeed).integer = seed;
    at(kHyperStepsPerEpoch).integer = steps_per_epoch;
    at(kHyperRate).number = rate;
}

Status Interpretation::set_input(std::string_view entry, std::string_view name,
                                 std::span<const double> values) {
    const Entry* const found = state_->program.find(entry);
    if (found == nullptr) return bug(fmt::format("no entry `{}`", entry));
    auto& inputs = state_->inputs[std::string(entry)];
    inputs.resize(found->inputs.size());
    for (std::size_t k = 0; k < inputs.size(); ++k) {
        if (found->inputs[k].name != name) continue;
        const DType type = found->inputs[k].dtype;
        const auto step =
            static_cast<std::size_t>(std::max<std::int64_t>(size_of(type) / state_->granule, 1));
        inputs[k].assign(values.size() * step, Value{.integer = 0});
        for (std::size_t i = 0; i < values.size(); ++i) inputs[k][i * step] = as(values[i], type);
        return {};
    }
    return bug(fmt::format("entry `{}` has no input `{}`", entry, name));
}

std::vector<Value>* Interpretation::State::region(const Entry& entry, const BufferRef& buffer) {
    switch (buffer.region) {
        case RegionKind::weights: return &weights;
        case RegionKind::prepared: return &prepared;
        case RegionKind::optimizer: return &optimizer;
        case RegionKind::workspace: return &workspace;
        case RegionKind::hyper: return &hyper;
        case RegionKind::input: {
            auto& list = inputs[entry.name];
            return buffer.number < list.size() ? &list[buffer.number] : nullptr;
        }
        case RegionKind::output: {
            auto& list = outputs[entry.name];
            return buffer.number < list.size() ? &list[buffer.number] : nullptr;
        }
    }
    return nullptr;
}

Status Interpretation::State::call(const Entry& entry, const Call& call, std::int64_t batch,
                                   const std::vector<std::int64_t>& steps) {
    const Kernel& kernel = program.kernels[call.kernel];
    const auto where = [&] { return fmt::format("{}: {}: ", entry.name, call.label); };
    if (call.arguments.size() != kernel.params.size()) {
        return bug(where() + "the number of arguments is wrong");
    }
    std::vector<View> views;
    for (std::size_t k = 0; k < call.arguments.size(); ++k) {
        std::vector<Value>* const memory = region(entry, call.arguments[k]);
        if (memory == nullptr) return bug(where() + fmt::format("argument {} has no memory", k));
        const std::int64_t size = size_of(kernel.params[k].dtype);
        const std::int64_t begin = call.arguments[k].offset_at(batch, steps);
        const std::int64_t count = element_count(kernel.params[k], batch);
        if (begin < 0 || begin % granule != 0 ||
            (begin + count * size) / granule > static_cast<std::int64_t>(memory->size())) {
            return bug(where() + fmt::format("argument {} ends at byte {}, its region at {}", k,
                                             begin + count * size,
                                             static_cast<std::int64_t>(memory->size()) * granule));
        }
        views.push_back({memory->data() + begin / granule, size / granule, count});
    }
    auto& machine = machines[{call.kernel, batch}];
    if (!machine) machine = std::make_unique<KernelMachine>(kernel, batch);
    if (const std::string wrong = machine->run(views); !wrong.empty()) return bug(where() + wrong);
    if (machine->fault()) {
        return Error{.status = kExitRun,
                     .message = where() + "an index among the data is out of range"};
    }
    return {};
}

Status Interpretation::run(std::string_view entry_name, std::int64_t batch) {
    State& state = *state_;
    const Entry* const entry = state.program.find(entry_name);
    if (entry == nullptr) return bug(fmt::format("no entry `{}`", entry_name));
    if (Status status = check_batch(*entry, batch); !status) return status;
    auto& inputs = state.inputs[entry->name];
    inputs.resize(entry->inputs.size());
    for (std::size_t k = 0; k < inputs.size(); ++k) {
        const EntryArgument& input = entry->inputs[k];
        const std::size_t wanted =
            slots(count_of(input, batch) * size_of(input.dtype), state.granule);
        if (inputs[k].size() < wanted) {
            return bug(
                fmt::format("input `{}` of `{}` is missing or too short", input.name, entry->name));
        }
    }
    auto& outputs = state.outputs[entry->name];
    outputs.clear();
    for (const EntryArgument& output : entry->outputs) {
        outputs.emplace_back(slots(count_of(output, batch) * size_of(output.dtype), state.granule),
                             Value{.integer = 0});
    }
    state.batches[entry->name] = batch;
    state.workspace.assign(slots(entry->workspace.at(batch), state.granule), Value{.integer = 0});
    return run_calls(*entry, [&](const Call& call, const std::vector<std::int64_t>& steps) {
        return state.call(*entry, call, batch, steps);
    });
}

Result<std::vector<double>> Interpretation::output(std::string_view entry_name,
                                                   std::string_view name) const {
    const Entry* const entry = state_->program.find(entry_name);
    const auto found = state_->outputs.find(entry_name);
    if (entry == nullptr || found == state_->outputs.end()) {
        return bug(fmt::format("entry `{}` was not run", entry_name));
    }
    for (std::size_t k = 0; k < entry->outputs.size(); ++k) {
        const EntryArgument& output = entry->outputs[k];
        if (output.name != name) continue;
        const std::int64_t count = count_of(output, state_->batches.find(entry_name)->second);
        std::vector<double> values;
        for (std::int64_t i = 0; i < count; ++i) {
            const auto at = static_cast<std::size_t>(i * size_of(output.dtype) / state_->granule);
            values.push_back(as_double(found->second[k][at], output.dtype));
        }
        return values;
    }
    return bug(fmt::format("entry `{}` has no output `{}`", entry_name, name));
}

const VariablePlace* Interpretation::State::find(std::string_view name, bool& is_slot) const {
    for (const auto* places : {&program.weights, &program.slots}) {
        is_slot = places == &program.slots;
        for (const VariablePlace& place : *places) {
            if (place.name == name) return &place;
        }
    }
    return nullptr;
}

Result<std::vector<double>> Interpretation::variable(std::string_view name) const {
    bool is_slot = false;
    const VariablePlace* const place = state_->find(name, is_slot);
    if (place == nullptr) return bug(fmt::format("no variable `{}`", name));
    const std::vector<Value>& memory = is_slot ? state_->optimizer : state_->weights;
    std::vector<double> values;
    for (std::int64_t at = 0; at < place->size; at += size_of(place->dtype)) {
        const auto slot = static_cast<std::size_t>((place->offset + at) / state_->granule);
        values.push_back(as_double(memory[slot], place->dtype));
    }
    return values;
}

Status Interpretation::set_variable(std::string_view name, std::span<const double> values) {
    bool is_slot = false;
    const VariablePlace* const place = state_->find(name, is_slot);
    if (place == nullptr) return bug(fmt::format("no variable `{}`", name));
    if (static_cast<std::int64_t>(values.size()) * size_of(place->dtype) != place->size) {
        return bug(fmt::format("variable `{}` has another size", name));
    }
    std::vector<Value>& memory = is_slot ? state_->optimizer : state_->weights;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::int64_t at = static_cast<std::int64_t>(i) * size_of(place->dtype);
        memory[static_cast<std::size_t>((place->offset + at) / state_->granule)] =
            as(values[i], place->dtype);
    }
    return {};
}

}  // namespace netc
