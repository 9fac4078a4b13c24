#include "passes/lower_module.h"

#include <algorithm>
#include <unordered_map>

#include "passes/index_ranges.h"
#include "passes/lower.h"
#include "passes/plan_memory.h"

namespace netc {
namespace {

std::int64_t round_up(std::int64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Where each variable lies, and the regions that follow from it.
struct Places {
    std::vector<BufferRef> variables;  // per VariableId

    Places(const Module& module, Program& program) {
        for (const Variable& variable : module.variables) {
            VariablePlace place;
            place.name = variable.name;
            place.dtype = variable.type.dtype;
            place.kind = variable.kind;
            place.frozen = variable.frozen;
            place.size = size_of(variable.type.dtype);
            for (const Dim& dim : variable.type.shape) {
                place.dims.push_back(dim.value());
                place.size *= dim.value();
            }
            std::int64_t& end = end_of(program, variable.kind);
            place.offset = end;
            end = round_up(end + place.size);
            variables.push_back({region_of(variable.kind), 0, Bytes{place.offset, 0, 0}});
            switch (variable.kind) {
                case VariableKind::parameter:
                case VariableKind::state: program.weights.push_back(std::move(place)); break;
                case VariableKind::slot: program.slots.push_back(std::move(place)); break;
                case VariableKind::prepared: break;
            }
        }
    }

    static RegionKind region_of(VariableKind kind) {
        switch (kind) {
            case VariableKind::parameter:
            case VariableKind::state: return RegionKind::weights;
            case VariableKind::slot: return RegionKind::optimizer;
            case VariableKind::prepared: return RegionKind::prepared;
        }
        return RegionKind::weights;
    }
    static std::int64_t& end_of(Program& program, VariableKind kind) {
        switch (kind) {
            case VariableKind::parameter:
            case VariableKind::state: return program.weights_size;
            case VariableKind::slot: return program.optimizer_size;
            case VariableKind::prepared: return program.prepared_size;
        }
        return program.weights_size;
    }
};

class EntryMaker {
public:
    EntryMaker(const Places& places, const Lowered& lowered, std::int64_t batch_hint)
        : places_(places), lowered_(lowered), info_(lowered.function) {
        const Function& function = lowered.function;
        MemoryPlan plan = plan_memory(lowered, batch_hint);
        for (const ArenaValue& value : plan.values) {
            refs_[value.value.index] = {RegionKind::workspace, 0, value.offset};
        }
        for (const Function::Update& update : function.updates) {
            refs_[update.value.index] = places.variables[update.variable];
        }
        for (std::uint32_t r = 0; r < function.results.size(); ++r) {
            refs_[function.results[r].value.index] = {RegionKind::output, r, {}};
        }
        entry_.workspace = plan.workspace;
        entry_.name = function.name;
        entry_.origins = function.origins;
    }

    Result<BufferRef> ref_of(const Binding& binding) {
        const NodeId storage = *storage_of(info_, binding.value);
        if (const auto known = refs_.find(storage.index); known != refs_.end())
            return known->second;
        const Node& leaf = lowered_.function[storage];
        if (leaf.op == OpId::input) {
            const auto number = leaf.attributes.get<std::int64_t>("index");
            return BufferRef{RegionKind::input, static_cast<std::uint32_t>(number), {}};
        }
        if (leaf.op == OpId::variable) {
            const auto number = leaf.attributes.get<std::int64_t>("index");
            return places_.variables[static_cast<std::size_t>(number)];
        }
        if (leaf.op == OpId::hyper) return hyper(leaf.attributes.get<std::string>("name"));
        return Error{kExitInternal, "a value without a buffer"};
    }

    Result<Entry> run(std::vector<std::uint32_t> kernels) {
        if (Status s = arguments(); !s) return s.error();
        for (std::size_t c = 0; c < lowered_.calls.size(); ++c) {
            const LoweredCall& lowered = lowered_.calls[c];
            Call call{kernels[c], {}, lowered.label, lowered.origin};
            for (std::size_t i = 0; i < lowered.bindings.size(); ++i) {
                Result<BufferRef> ref = ref_of(lowered.bindings[i]);
                if (!ref) return ref.error();
                note(*ref, lowered.kernel.params[i].direction);
                call.arguments.push_back(*ref);
            }
            collect_index_ranges(lowered.kernel, call.arguments, entry_.index_ranges);
            entry_.calls.push_back(std::move(call));
        }
        return std::move(entry_);
    }

private:
    static Result<BufferRef> hyper(const std::string& name) {
        if (name == "seed") return BufferRef{RegionKind::hyper, 0, {kHyperSeed, 0, 0}};
        if (name == "rate") return BufferRef{RegionKind::hyper, 0, {kHyperRate, 0, 0}};
        if (name == "steps_per_epoch") {
            return BufferRef{RegionKind::hyper, 0, {kHyperStepsPerEpoch, 0, 0}};
        }
        return Error{kExitInternal, "the hyperparameter `" + name + "` has no place"};
    }

    static Result<EntryArgument> argument(std::string name, const Type& type, std::string doc) {
        EntryArgument made{std::move(name), type.dtype, {}, std::move(doc)};
        for (const Dim& dim : type.shape) {
            const std::optional<Extent> extent = dim.extent();
            if (!extent) return Error{kExitInternal, type.to_string() + " of " + made.name};
            made.dims.push_back(*extent);
        }
        return made;
    }

    Status arguments() {
        const Function& function = lowered_.function;
        for (const Input& input : function.inputs) {
            Result<EntryArgument> made = argument(input.name, input.type, input.doc);
            if (!made) return made.error();
            entry_.inputs.push_back(std::move(*made));
        }
        for (const Function::Result& result : function.results) {
            Result<EntryArgument> made =
                argument(result.name, function[result.value].type, result.doc);
            if (!made) return made.error();
            entry_.outputs.push_back(std::move(*made));
        }
        return {};
    }

    void note(const BufferRef& ref, Direction direction) {
        const bool reads = direction != Direction::out, writes = direction != Direction::in;
        if (ref.region == RegionKind::weights) {
            entry_.reads_weights |= reads;
            entry_.writes_weights |= writes;
        } else if (ref.region == RegionKind::prepared) {
            entry_.reads_prepared |= reads;
            entry_.writes_prepared |= writes;
        } else if (ref.region == RegionKind::optimizer) {
            entry_.reads_optimizer |= reads;
            entry_.writes_optimizer |= writes;
        }
    }

    const Places& places_;
    const Lowered& lowered_;
    const GroupInfo info_;
    std::unordered_map<std::uint32_t, BufferRef> refs_;
    Entry entry_;
};

}  // namespace

std::uint64_t model_hash(const Module& module) {
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    auto add = [&](std::string_view text) {
        for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    };
    for (const Variable& variable : module.variables) {
        if (variable.kind != VariableKind::parameter && variable.kind != VariableKind::state)
            continue;
        add(variable.name);
        add(variable.kind == VariableKind::state ? " state " : " parameter ");
        add(variable.type.to_string());
        add("\n");
    }
    return hash;
}

Result<Program> lower_module(const Module& module, std::int64_t batch_hint) {
    Program program;
    program.name = module.name;
    program.batch_hint = batch_hint;
    program.model_hash = model_hash(module);
    const Places places(module, program);
    std::unordered_map<std::string, std::uint32_t> known;
    for (const Function& function : module.functions) {
        Result<Lowered> lowered = lower(function, batch_hint);
        if (!lowered) return lowered.error();
        std::vector<std::uint32_t> kernels;
        for (const LoweredCall& call : lowered->calls) {
            std::string text = to_text(call.kernel);
            const auto next = static_cast<std::uint32_t>(program.kernels.size());
            const auto [place, is_new] = known.emplace(text, next);
            if (is_new) {
                program.kernels.push_back(call.kernel);
                program.kernel_texts.push_back(std::move(text));
            }
            kernels.push_back(place->second);
        }
        Result<Entry> entry = EntryMaker(places, *lowered, batch_hint).run(std::move(kernels));
        if (!entry) return entry.error();
        program.entries.push_back(std::move(*entry));
    }
    return program;
}

}  // namespace netc
