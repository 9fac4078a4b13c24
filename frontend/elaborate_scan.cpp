// The body of a `scan` becomes a function of the graph; see elaborate_scan.h.
#include "frontend/elaborate_scan.h"

#include <algorithm>

#include <fmt/format.h>

namespace netc::frontend {

std::uint32_t current_region(const Context& context) {
    return context.region ? context.region->number : 0;
}

bool in_scan_body(const Context& context) {
    return context.region && context.region->frame == context.frame;
}

Span scan_place(const Context& context) { return context.region ? context.region->place : Span{}; }

void note_assignment(Context& context, const Entry& entry, Span place) {
    for (Region* region = context.region; region; region = region->outer) {
        for (Carry& carry : region->carries) {
            if (carry.entry == &entry) carry.assigned = place;
        }
    }
}

namespace {

NodeId add_input(Region& region, std::string name, Type type, NodeId outside) {
    const auto index = static_cast<std::uint32_t>(region.function.inputs.size());
    region.function.inputs.push_back({std::move(name), std::move(type), {}, {}});
    region.outside.push_back(outside);
    return region.builder.input(index).id;
}

NodeId capture(Region& region, std::uint32_t from, NodeId node) {
    if (region.number == from) return node;
    const auto known = region.captured.find({from, node});
    if (known != region.captured.end()) return known->second;
    const NodeId outside = region.outer ? capture(*region.outer, from, node) : node;
    const Type type = region.outer_builder->function()[outside].type;
    const NodeId inside =
        add_input(region, fmt::format("fixed_{}", region.captured.size() + 1), type, outside);
    region.captured.emplace(std::pair(from, node), inside);
    return inside;
}

// A value of the model's function that every body may read.
netc::Value run_value(Context& context, std::string name) {
    context.root_builder->set_origin(context.builder->origin());
    const NodeId node = context.root_builder->hyper(std::move(name), DType::i64).id;
    return {context.builder, node_here(context, 0, node)};
}

}  // namespace

NodeId node_here(Context& context, std::uint32_t region, NodeId node) {
    return context.region ? capture(*context.region, region, node) : node;
}

netc::Value random_seed(Context& context) { return run_value(context, "seed"); }

netc::Value random_step(Context& context) {
    const netc::Value step = run_value(context, "step");
    if (!context.region) return step;
    return step + netc::Value{context.builder, context.region->index} * 0x1p32;
}

namespace {

struct ScanMaker {
    Context& context;
    const ast::Scan& node;
    Span place;
    const ScopePointer& scope;

    std::vector<SequenceValue> sequences;
    Dim steps;
    Region region;

    Datum run() {
        const Datum source = evaluate(context, *node.source, scope);
        if (source.failed() || !find_sequences(source)) return failed_datum();
        if (!context.builder) return make_node(context, OpId::scan, {}, {}, place);
        open();
        const auto inner = std::make_shared<Scope>();
        inner->parent = scope;
        Datum result;
        const bool bound =
            frontend::bind(context, node.pattern, slices(source), EntryKind::loop, inner);
        const Flow flow = bound ? execute(context, node.body, inner, result) : Flow::failed;
        const bool good = flow == Flow::returned && finish_body(result);
        if (flow == Flow::next) {
            const Span end{node.body.span.file, node.body.span.end - 1, node.body.span.end};
            report(context, diagnose<Code::no_return>(blame(context, end), "the body of `scan`")
                                .text("the block ends without `yield`"));
        }
        close();
        if (!good) {
            for (const Carry& carry : region.carries) {
                if (carry.assigned.known()) carry.entry->value = failed_datum();
            }
            return failed_datum();
        }
        return make_scan_node(context, region, sequences, steps, place, result);
    }

    // ---- what it runs over

    bool find_sequences(const Datum& source) {
        const Items one{source};
        const Items* items = source.is<TupleValue>() ? source.items() : &one;
        for (const Datum& item : *items) {
            const auto* sequence = item.as<SequenceValue>();
            if (!sequence) {
                report(context,
                       diagnose<Code::wrong_static_type>(
                           blame(context, item.place.known() ? item.place : place),
                           "what `scan` runs over", "`unstack(x, axis)`")
                           .text("this is {}", describe_kind(item))
                           .help_text(item.tensor() ? "write `unstack(" +
                                                          source_text(context, item.place) + ", 1)`"
                                                    : ""));
                return false;
            }
            sequences.push_back(*sequence);
        }
        return same_steps();
    }

    static const Dim& extent(const SequenceValue& sequence) {
        return sequence.tensor->type.shape[static_cast<std::size_t>(sequence.axis)];
    }

    bool same_steps() {
        steps = extent(sequences[0]);
        const Span at = blame(context, node.source->span);
        for (const SequenceValue& sequence : sequences) {
            if (!(extent(sequence) == steps)) {
                report(
                    context,
                    diagnose<Code::shapes_do_not_line_up>(at, sequences[0].tensor->type.to_string(),
                                                          sequence.tensor->type.to_string())
                        .text("{} and {} steps", steps.to_string(), extent(sequence).to_string()));
                return false;
            }
            if (sequence.reverse != sequences[0].reverse) {
                report(context, diagnose<Code::wrong_static_type>(at, "the sequences of one `scan`",
                                                                  "of one direction")
                                    .text("one of them is reversed"));
                return false;
            }
        }
        const std::vector<std::string> symbols = steps.symbols();
        if (std::find(symbols.begin(), symbols.end(), kBatchSymbol) == symbols.end()) return true;
        report(context,
               diagnose<Code::symbolic_dimension_open>(at, kBatchSymbol)
                   .text("a step for each sample of the batch, whose size is only known "
                         "at run time")
                   .help("run over another axis, or fix the batch: `--dim {}=32`", kBatchSymbol));
        return false;
    }

    // ---- the body

    // From here to `close` nodes go into the body.
    void open() {
        region.outer = context.region;
        region.number = ++context.regions;
        region.frame = context.frame;
        region.place = place;
        region.outer_builder = context.builder;
        region.function.name = "step";
        for (std::size_t k = 0; k < sequences.size(); ++k) {
            const NodeId outside = step_first(sequences[k]);
            Type type = context.function->nodes[outside.index].type;
            type.shape.erase(type.shape.begin());
            add_input(region, fmt::format("slice_{}", k + 1), type, outside);
        }
        context.function = &region.function;
        context.builder = &region.builder;
        context.region = &region;
        open_index();
        open_carries();
    }

    // The operand with the steps as its first axis.
    NodeId step_first(const SequenceValue& sequence) {
        note_origin(context, place);
        const netc::Value x = graph_value(context, *sequence.tensor);
        if (sequence.axis == 0) return x.id;
        std::vector<std::int64_t> order{sequence.axis};
        for (std::int64_t i = 0; i < static_cast<std::int64_t>(x.type().rank()); ++i) {
            if (i != sequence.axis) order.push_back(i);
        }
        return context.builder->permute(x, order).id;
    }

    // The number of the step is a sequence too: 0, 1, 2, ...
    void open_index() {
        GraphBuilder& outer = *region.outer_builder;
        netc::Value count = outer.iota({DType::i64, {steps}}, 0);
        if (region.outer) {
            const netc::Value before{&outer, region.outer->index};
            const netc::Value length = outer.extent(steps, DType::i64);
            count = count + outer.broadcast(before * length, {steps});
        }
        region.index = add_input(region, "step", {DType::i64, {}}, count.id);
    }

    void open_carries() {
        for (Scope* at = scope.get(); at; at = at->parent.get()) {
            for (Entry& entry : at->entries) {
                if (entry.kind != EntryKind::var) continue;
                Carry carry{&entry, entry.value, {}, {}};
                const Tensor* tensor = entry.value.tensor();
                if (tensor) {
                    carry.inside = add_input(region,
                                             std::string(entry.name) + "." +
                                                 std::to_string(region.carries.size() + 1),
                                             tensor->type, NodeId{});
                    auto inside = std::make_shared<Tensor>(*tensor);
                    inside->id = carry.inside;
                    inside->region = region.number;
                    entry.value = {TensorPointer(std::move(inside)), entry.value.place};
                }
                region.carries.push_back(std::move(carry));
            }
        }
    }

    void close() {
        // Variables that the body did not assign are what they were.
        for (const Carry& carry : region.carries) {
            if (!carry.assigned.known()) carry.entry->value = carry.initial;
        }
        context.region = region.outer;
        context.builder = region.outer_builder;
        context.function = &region.outer_builder->function();
    }

    // The slices, as the pattern takes them.
    Datum slices(const Datum& source) const {
        Items items;
        for (std::size_t k = 0; k < sequences.size(); ++k) {
            const SequenceValue& sequence = sequences[k];
            auto tensor = std::make_shared<Tensor>();
            tensor->id = NodeId{static_cast<std::uint32_t>(k)};
            tensor->type = region.function.inputs[k].type;
            tensor->origins = sequence.tensor->origins;
            tensor->origins.erase(tensor->origins.begin() + sequence.axis);
            tensor->place = node.source->span;
            tensor->region = region.number;
            items.push_back({TensorPointer(std::move(tensor)), node.source->span});
        }
        return source.is<TupleValue>() ? make_tuple(std::move(items), node.source->span) : items[0];
    }

    // Results of the body: new carries, then what it yields.
    bool finish_body(const Datum& result) {
        for (Carry& carry : region.carries) {
            if (carry.assigned.known() && !finish_carry(carry)) return false;
        }
        const Items one{result};
        for (const Datum& item : result.is<TupleValue>() ? *result.items() : one) {
            const Datum value = as_tensor(context, item, context.real, place);
            if (value.failed() || !axis_fits(*value.tensor())) return false;
            add_result(graph_value(context, *value.tensor()).id);
        }
        return true;
    }

    void add_result(NodeId value) {
        const std::size_t number = region.function.results.size() + 1;
        region.function.results.push_back({fmt::format("out_{}", number), value});
    }

    bool finish_carry(Carry& carry) {
        const Tensor* initial = carry.initial.tensor();
        Datum value = carry.entry->value;
        if (value.failed()) return false;
        const auto changes = [&](std::string starts) {
            return std::move(
                diagnose<Code::carry_changes>(blame(context, carry.assigned), carry.entry->name)
                    .text("assigns {}",
                          value.tensor() ? value.tensor()->type.to_string() : describe_kind(value))
                    .label(blame(context, carry.initial.place), "starts as {}", starts));
        };
        if (!initial) {
            report(context,
                   changes(describe_kind(carry.initial)).note("only tensors go from step to step"));
            return false;
        }
        if (value.is_number()) {
            value = number_tensor(context, value, initial->type.dtype, initial->type.shape,
                                  carry.assigned);
        }
        const Tensor* last = value.tensor();
        if (!last) {
            if (!value.failed()) report(context, changes(initial->type.to_string()));
            return false;
        }
        if (last->type.dtype != initial->type.dtype) {
            report(context,
                   diagnose<Code::dtypes_differ>(blame(context, carry.assigned),
                                                 last->type.to_string(), initial->type.to_string())
                       .text("a time step assigns {}", last->type.to_string())
                       .label(blame(context, carry.initial.place), "starts as {}",
                              initial->type.to_string()));
            return false;
        }
        if (!(last->type == initial->type)) {
            const std::string shape = shape_text(last->type.shape);
            report(context,
                   changes(initial->type.to_string()).help("start with `zeros_like({})`", shape));
            return false;
        }
        add_result(graph_value(context, *last).id);
        return true;
    }

    bool axis_fits(const Tensor& value) const {
        const auto axis = static_cast<std::size_t>(sequences[0].axis);
        if (axis <= value.type.rank()) return true;
        report(context, diagnose<Code::axis_out_of_range>(
                            blame(context, place), "axis", sequences[0].axis,
                            fmt::format("a stack of {}", value.type.to_string()))
                            .label(blame(context, sequences[0].axis_place),
                                   "the steps are stacked along this axis"));
        return false;
    }
};

}  // namespace

Datum evaluate_scan(Context& context, const ast::Scan& node, Span place,
                    const ScopePointer& scope) {
    return ScanMaker{context, node, place, scope, {}, {}, {}}.run();
}

}  // namespace netc::frontend
