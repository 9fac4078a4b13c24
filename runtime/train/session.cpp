#include "runtime/train/session.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "ir/finite_check.h"
#include "runtime/memory.h"

namespace netc {
namespace {

void write_header(std::byte* region, std::uint64_t hash, std::int64_t size) {
    const auto bytes = static_cast<std::uint64_t>(size);
    std::memcpy(region, &hash, sizeof hash);
    std::memcpy(region + 8, &bytes, sizeof bytes);
}

std::int64_t bytes_of(const EntryArgument& argument, std::int64_t batch) {
    std::int64_t count = size_of(argument.dtype);
    for (const Extent& extent : argument.dims) count *= extent.at(batch);
    return count;
}

RegionKind region_of(const VariablePlace& place) {
    return place.kind == VariableKind::slot ? RegionKind::optimizer : RegionKind::weights;
}

}  // namespace

Result<AlignedMemory> AlignedMemory::allocate(std::int64_t bytes) {
    // Enough more that the widest vector load behind the last element stays inside.
    constexpr std::int64_t kSlack = 2 * kAlignment;
    AlignedMemory memory;
    if (bytes < 0 || bytes > (std::int64_t{1} << 46)) {
        return Error{kExitRun, "the network needs more memory than a process can have"};
    }
    memory.data_ = allocate_zeroed(static_cast<std::size_t>(bytes + kSlack));
    if (memory.data_ == nullptr) {
        return Error{kExitRun, "no memory: " + std::to_string(bytes / 1000000) + " MB are needed"};
    }
    memory.size_ = bytes;
    return memory;
}

Result<Session> Session::create(const Program& program, Executable& executable) {
    Session session;
    session.program_ = &program;
    session.executable_ = &executable;
    const std::pair<AlignedMemory*, std::int64_t> regions[] = {
        {&session.weights_, program.weights_size},
        {&session.prepared_, program.prepared_size},
        {&session.optimizer_, program.optimizer_size},
        {&session.hyper_, kAlignment},
        {&session.workspace_, 0}};
    for (const auto& [memory, size] : regions) {
        Result<AlignedMemory> made = AlignedMemory::allocate(size);
        if (!made) return made.error();
        *memory = std::move(*made);
    }
    write_header(session.weights_.data(), program.model_hash, program.weights_size);
    write_header(session.prepared_.data(), program.model_hash, program.prepared_size);
    write_header(session.optimizer_.data(), program.model_hash, program.optimizer_size);
    for (const RegionKind region :
         {RegionKind::weights, RegionKind::prepared, RegionKind::optimizer})
        executable.host_changed(region);
    session.set_rate(std::numeric_limits<float>::quiet_NaN());
    return session;
}

void Session::put_hyper(std::int64_t offset, const void* value, std::size_t size) {
    std::memcpy(hyper_.data() + offset, value, size);
    executable_->host_changed(RegionKind::hyper);
}
void Session::set_seed(std::uint64_t seed) { put_hyper(kHyperSeed, &seed, sizeof seed); }
void Session::set_steps_per_epoch(std::int64_t steps) {
    put_hyper(kHyperStepsPerEpoch, &steps, sizeof steps);
}
void Session::set_rate(float rate) { put_hyper(kHyperRate, &rate, sizeof rate); }

Status Session::init(std::uint64_t seed) {
    set_seed(seed);
    for (const VariablePlace& slot : program_->slots) {
        std::memset(variable(slot).data(), 0, static_cast<std::size_t>(slot.size));
    }
    return run("init", {}, 1);
}

Status Session::reserve_workspace(const Entry& entry, std::int64_t batch) {
    const std::int64_t needed = entry.workspace.at(batch);
    if (needed <= workspace_.size() || executable_->has_own_memory()) return {};
    Result<AlignedMemory> memory = AlignedMemory::allocate(needed);
    if (!memory) return memory.error();
    workspace_ = std::move(*memory);
    return {};
}

Status Session::prepare_call(std::string_view name, std::int64_t batch) {
    if (Status status = wait(); !status) return status;  // for the outputs that go now
    last_ = nullptr;
    direct_ = nullptr;
    const Entry* entry = program_->find(name);
    if (entry == nullptr) return Error{kExitInternal, "no entry " + std::string(name)};
    if (Status status = reserve_workspace(*entry, batch); !status) return status;
    outputs_.clear();
    for (const EntryArgument& argument : entry->outputs) {
        Result<AlignedMemory> memory = AlignedMemory::allocate(bytes_of(argument, batch));
        if (!memory) return memory.error();
        outputs_.push_back(std::move(*memory));
    }
    output_pointers_.clear();
    for (const AlignedMemory& memory : outputs_) output_pointers_.push_back(memory.data());
    checks_finite_ = std::ranges::any_of(
        entry->calls, [](const Call& call) { return call.label.starts_with(kFiniteCheck); });
    last_ = entry;
    last_batch_ = batch;
    return {};
}

Status Session::run(std::string_view name, std::span<const std::byte* const> inputs,
                    std::int64_t batch) {
    if (last_ == nullptr || batch != last_batch_ || name != last_->name) {
        if (Status status = prepare_call(name, batch); !status) return status;
    }
    if (batch == 0) return {};  // no samples in, empty outputs out
    if (direct_ != nullptr) {
        const std::int32_t fault =
            direct_(weights_.data(), prepared_.data(), optimizer_.data(), workspace_.data(),
                    hyper_.data(), inputs.data(), output_pointers_.data(), batch);
        if (fault != 0) return index_out_of_range(name);
    } else if (Status status = call(name, inputs, batch); !status) {
        return status;
    }
    if (!checks_finite_) return {};
    if (Status status = wait(); !status) return status;
    return find_not_finite();
}

Status Session::call(std::string_view name, std::span<const std::byte* const> inputs,
                     std::int64_t batch) {
    if (Status status = std::exchange(failure_, Status()); !status) return status;
    CallMemory memory;
    memory.weights = weights_.data();
    memory.prepared = prepared_.data();
    memory.optimizer = optimizer_.data();
    memory.workspace = workspace_.data();
    memory.hyper = hyper_.data();
    memory.inputs = inputs;
    memory.outputs = output_pointers_;
    if (executable_->has_own_memory()) {
        weights_behind_ |= last_->writes_weights;
        optimizer_behind_ |= last_->writes_optimizer;
    }
    outputs_ended_ = false;
    Status status = executable_->start(name, memory, batch);
    if (status && executable_->has_own_memory()) under_way_ += 1;
    direct_ = executable_->direct(name, batch);
    return status;
}

void Session::keep(Status status) const {
    if (failure_ && !status) failure_ = std::move(status);
}
void Session::settle(std::size_t may_run) const {
    if (under_way_ <= may_run) return;
    under_way_ = may_run;
    outputs_ended_ = true;
    keep(executable_->wait(may_run));
}
Status Session::wait(std::size_t may_run) const {
    settle(may_run);
    return std::exchange(failure_, Status());
}

// The first flag that a check of --check-finite raised.
Status Session::find_not_finite() const {
    for (const Call& call : last_->calls) {
        if (!call.label.starts_with(kFiniteCheck)) continue;
        const std::int64_t offset = call.arguments[1].offset.at(last_batch_);
        std::int32_t flag = static_cast<std::int32_t>(Finite::all);
        if (executable_->has_own_memory()) {
            Status status = executable_->fetch(
                RegionKind::workspace, reinterpret_cast<std::byte*>(&flag), offset, sizeof flag);
            if (!status) return status;
        } else {
            std::memcpy(&flag, workspace_.data() + offset, sizeof flag);
        }
        if (flag == static_cast<std::int32_t>(Finite::all)) continue;
        const bool nan = flag == static_cast<std::int32_t>(Finite::nan);
        return Error{kExitRun,
                     std::string(nan ? "the first NaN is in " : "the first infinity is in ") +
                         call.label.substr(kFiniteCheck.size())};
    }
    return {};
}

std::span<const std::byte> Session::output(std::size_t i) const {
    if (!outputs_ended_) settle();
    return {outputs_[i].data(), static_cast<std::size_t>(outputs_[i].size())};
}

double Session::number(std::string_view name) const {
    if (last_ == nullptr) return std::numeric_limits<double>::quiet_NaN();
    if (!outputs_ended_) settle();
    for (std::size_t i = 0; i < last_->outputs.size(); ++i) {
        if (last_->outputs[i].name != name) continue;
        if (last_->outputs[i].dtype == DType::f64) {
            double value;
            std::memcpy(&value, outputs_[i].data(), sizeof value);
            return value;
        }
        float value;
        std::memcpy(&value, outputs_[i].data(), sizeof value);
        return static_cast<double>(value);
    }
    return std::numeric_limits<double>::quiet_NaN();
}

std::span<std::byte> Session::memory_of(const VariablePlace& place) const {
    std::byte* const region =
        place.kind == VariableKind::slot ? optimizer_.data() : weights_.data();
    return {region + place.offset, static_cast<std::size_t>(place.size)};
}

// Takes the device's bytes where they are newer.
void Session::catch_up(RegionKind region) const {
    const bool weights = region == RegionKind::weights;
    if (!std::exchange(weights ? weights_behind_ : optimizer_behind_, false)) return;
    settle();
    const AlignedMemory& memory = weights ? weights_ : optimizer_;
    keep(executable_->fetch(region, memory.data(), 0, memory.size()));
}

std::span<std::byte> Session::variable(const VariablePlace& place) {
    catch_up(region_of(place));
    executable_->host_changed(region_of(place));
    return memory_of(place);
}
std::span<const std::byte> Session::variable(const VariablePlace& place) const {
    catch_up(region_of(place));
    return memory_of(place);
}

const VariablePlace* Session::find_weight(std::string_view name) const {
    for (const VariablePlace& place : program_->weights) {
        if (place.name == name) return &place;
    }
    return nullptr;
}

std::int64_t Session::steps_done() const {
    for (const VariablePlace& place : program_->slots) {
        if (place.name != "step") continue;
        std::int64_t steps = 0;
        std::memcpy(&steps, memory_of(place).data(), sizeof steps);
        if (!optimizer_behind_) return steps;
        // Not all of the optimizer's state for one number.
        settle();
        keep(executable_->fetch(RegionKind::optimizer, reinterpret_cast<std::byte*>(&steps),
                                place.offset, sizeof steps));
        return steps;
    }
    return 0;
}

}  // namespace netc
