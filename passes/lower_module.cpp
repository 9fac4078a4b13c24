#include "passes/lower_module.h"

#include <algorithm>
#include <unordered_map>

#include "passes/index_ranges.h"
#include "passes/lower.h"
#include "passes/plan_memory.h"

namespace netc {
namespace {

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

// Where the values of a function lie that are no leaves of the entry: the arena, results, updates, and,
// in a body, what its scan hands it.
struct Frame {
    explicit Frame(const Lowered& of) : lowered(of), info(of.function) {}

    const Lowered& lowered;
    const GroupInfo info;
    std::unordered_map<std::uint32_t, BufferRef> refs;  // by node
    std::vector<BufferRef> inputs;                      // of a body
    bool body = false;
};

class EntryMaker {
public:
    EntryMaker(const Places& places, const Lowered& lowered, std::int64_t batch_hint,
               const std::vector<std::uint32_t>& kernels)
        : places_(places), lowered_(lowered), plan_(plan_memory(lowered, batch_hint)),
          kernels_(kernels) {
        entry_.workspace = plan_.workspace;
        entry_.name = lowered.function.name;
    }

    Result<Entry> run() {
        if (Status s = arguments(); !s) return s.error();
        Frame frame(lowered_);
        const Function& function = lowered_.function;
        for (const Function::Update& update : function.updates) {
            frame.refs[update.value.index] = places_.variables[update.variable];
        }
        for (std::uint32_t r = 0; r < function.results.size(); ++r) {
            frame.refs[function.results[r].value.index] = {RegionKind::output, r, {}};
        }
        if (Status s = add_calls(frame); !s) return s.error();
        return std::move(entry_);
    }

private:
    Status add_calls(Frame& frame) {
        for (const ArenaValue& value : plan_.values) {
            if (value.home != &frame.lowered) continue;
            frame.refs[value.value.index] = {RegionKind::workspace, 0, value.offset};
            for (const auto& [part, at] : value.parts) {
                frame.refs[part.index] = {RegionKind::workspace, 0, value.offset + at};
            }
        }
        const auto origins = static_cast<OriginId>(entry_.origins.size());
        const std::vector<Origin>& own = frame.lowered.function.origins;
        entry_.origins.insert(entry_.origins.end(), own.begin(), own.end());
        note_ascriptions(frame.lowered.function);
        for (const LoweredCall& lowered : frame.lowered.calls) {
            if (lowered.loop) {
                if (Status s = add_loop(frame, lowered); !s) return s;
                continue;
            }
            Call call{kernels_[next_++], {}, lowered.label, origins + lowered.origin};
            for (std::size_t i = 0; i < lowered.bindings.size(); ++i) {
                Result<BufferRef> ref = ref_of(frame, lowered.bindings[i].value);
                if (!ref) return ref.error();
                note(*ref, lowered.kernel.params[i].direction);
                call.arguments.push_back(*ref);
            }
            index_ranges_.add(lowered.kernel, call.arguments);
            entry_.calls.push_back(std::move(call));
        }
        return {};
    }

    void note_ascriptions(const Function& function) {
        for (const Node& node : function.nodes) {
            if (node.op != OpId::ascribe) continue;
            const Type& from = function[node.inputs[0]].type;
            for (std::size_t i = 0; i < from.rank(); ++i) {
                const auto found = from.shape[i].extent(), wanted = node.type.shape[i].extent();
                if (!found || !wanted || *found == *wanted) continue;
                entry_.equal_extents.push_back(
                    {*found, *wanted, from.to_string() + " as " + node.type.to_string()});
            }
        }
    }

    // The calls of a body, whose inputs and results are slices of what the scan reads and leaves.
    Status add_loop(Frame& frame, const LoweredCall& call) {
        const LoweredLoop& loop = *call.loop;
        const auto number = static_cast<std::uint32_t>(entry_.loops.size());
        Frame inner(loop.body);
        inner.body = true;
        for (std::size_t k = 0; k < loop.body.function.inputs.size(); ++k) {
            Result<BufferRef> ref = ref_of(frame, call.bindings[k].value);
            if (!ref) return ref.error();
            const Bytes slice = dense_bytes(loop.body.function.inputs[k].type);
            if (k < loop.sequences) {
                inner.inputs.push_back(slice_of(*ref, loop, number, slice));
            } else if (k < loop.sequences + loop.carries) {
                const std::size_t c = k - loop.sequences;
                inner.inputs.push_back(slot_of(*ref, loop, c, number, slice, 0));
                inner.refs[loop.body.function.results[c].value.index] =
                    slot_of(*ref, loop, c, number, slice, 1);
            } else {
                inner.inputs.push_back(std::move(*ref));
            }
        }
        for (const Binding& binding : call.bindings) {
            if (!binding.written) continue;
            const auto result = static_cast<std::size_t>(
                frame.lowered.function[binding.value].attributes.get<std::int64_t>("number"));
            const std::size_t place = loop.result_of[result];
            if (place < loop.carries) continue;
            Result<BufferRef> ref = ref_of(frame, binding.value);
            if (!ref) return ref.error();
            const NodeId value = loop.body.function.results[place].value;
            const Bytes slice = dense_bytes(loop.body.function[value].type);
            inner.refs[value.index] = slice_of(*ref, loop, number, slice);
        }
        const std::size_t begin = entry_.calls.size();
        entry_.loops.push_back({begin, begin, loop.steps});
        if (Status s = add_calls(inner); !s) return s;
        entry_.loops[number].end = entry_.calls.size();
        if (entry_.calls.size() == begin) return Error{kExitInternal, "a scan that does nothing"};
        return {};
    }

    static BufferRef slice_of(BufferRef stack, const LoweredLoop& loop, std::uint32_t number,
                              const Bytes& slice) {
        if (loop.reverse) stack.offset = stack.offset + (loop.steps - 1) * slice;
        stack.strides.push_back({number, (loop.reverse ? -1 : 1) * slice});
        return stack;
    }

    // `initial` is the slot before the first step; `later`: 0 for the slot read, 1 for the one written.
    static BufferRef slot_of(BufferRef initial, const LoweredLoop& loop, std::size_t carry,
                             std::uint32_t number, const Bytes& slice, std::int64_t later) {
        const bool back = loop.stacked[carry] && loop.reverse;
        initial.strides.push_back(
            {number, (back ? -1 : 1) * slice, later, loop.stacked[carry] ? 0 : 2});
        return initial;
    }

    Result<BufferRef> ref_of(const Frame& frame, NodeId value) const {
        const NodeId storage = *storage_of(frame.info, value);
        if (const auto known = frame.refs.find(storage.index); known != frame.refs.end())
            return known->second;
        const Node& leaf = frame.lowered.function[storage];
        if (leaf.op == OpId::input) {
            const auto number = leaf.attributes.get<std::int64_t>("index");
            if (frame.body) return frame.inputs[static_cast<std::size_t>(number)];
            return BufferRef{RegionKind::input, static_cast<std::uint32_t>(number), {}};
        }
        if (leaf.op == OpId::variable) {
            const auto number = leaf.attributes.get<std::int64_t>("index");
            return places_.variables[static_cast<std::size_t>(number)];
        }
        if (leaf.op == OpId::hyper) return hyper(leaf.attributes.get<std::string>("name"));
        return Error{kExitInternal, "a value without a buffer"};
    }

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
    const MemoryPlan plan_;
    const std::vector<std::uint32_t>& kernels_;  // in the order of the calls
    std::size_t next_ = 0;
    Entry entry_;
    IndexRanges index_ranges_{entry_.index_ranges};
};

// All calls with kernels, those of bodies where their loops stand.
void collect_calls(const Lowered& lowered, std::vector<const LoweredCall*>& calls) {
    for (const LoweredCall& call : lowered.calls) {
        if (call.loop) {
            collect_calls(call.loop->body, calls);
        } else {
            calls.push_back(&call);
        }
    }
}

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
        std::vector<const LoweredCall*> calls;
        collect_calls(*lowered, calls);
        for (const LoweredCall* call : calls) {
            std::string text = to_text(call->kernel);
            const auto next = static_cast<std::uint32_t>(program.kernels.size());
            const auto [place, is_new] = known.emplace(text, next);
            if (is_new) {
                program.kernels.push_back(call->kernel);
                program.kernel_texts.push_back(std::move(text));
            }
            kernels.push_back(place->second);
        }
        Result<Entry> entry = EntryMaker(places, *lowered, batch_hint, kernels).run();
        if (!entry) return entry.error();
        program.entries.push_back(std::move(*entry));
    }
    if (const Entry* prepare = program.find("prepare")) {
        const std::int64_t scratch = prepare->workspace.at(1);
        if (scratch > kStackScratch) program.prepared_size += round_up(scratch);
    }
    return program;
}

}  // namespace netc
