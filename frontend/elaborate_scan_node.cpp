// The node of a `scan` whose body is finished: the order of its inputs, what it gives to carries and stacks.
#include "frontend/elaborate_scan.h"

namespace netc::frontend {

namespace {

struct ScanNode {
    Context& context;
    Region& region;
    const std::vector<SequenceValue>& sequences;
    const Dim& steps;
    Span place;

    // Inputs in the order that bodies have: sequences, carries, what is the same in all steps. A variable
    // that the body reads and does not assign is of the last kind; what it does not read goes.
    std::vector<NodeId> order_inputs(std::size_t& sequence_count, std::size_t& carry_count) {
        Function& body = region.function;
        std::vector<bool> read(body.nodes.size());
        for (const Node& each : body.nodes) {
            for (const NodeId input : each.inputs) read[input.index] = true;
        }
        for (const Function::Result& result : body.results) read[result.value.index] = true;

        std::vector<std::uint32_t> first, second, third;  // sequences, carries, the rest
        for (std::uint32_t k = 0; k <= sequences.size(); ++k) {
            if (read[region_input(k).index]) first.push_back(k);
        }
        std::map<std::uint32_t, const Carry*> of_input;
        for (const Carry& carry : region.carries) {
            if (carry.inside.valid()) of_input[input_number(carry.inside)] = &carry;
        }
        for (auto k = static_cast<std::uint32_t>(sequences.size() + 1); k < body.inputs.size();
             ++k) {
            const auto carry = of_input.find(k);
            if (carry == of_input.end()) {
                third.push_back(k);
                continue;
            }
            const Tensor& initial = *carry->second->initial.tensor();
            if (carry->second->assigned.known()) {
                region.outside[k] = graph_value(context, initial).id;
                second.push_back(k);
            } else if (read[region_input(k).index]) {
                region.outside[k] = graph_value(context, initial).id;
                third.push_back(k);
            }
        }
        sequence_count = first.size();
        carry_count = second.size();
        first.insert(first.end(), second.begin(), second.end());
        first.insert(first.end(), third.begin(), third.end());
        std::vector<NodeId> operands;
        std::vector<Input> inputs;
        std::vector<std::int64_t> renumbered(body.inputs.size(), -1);
        for (const std::uint32_t k : first) {
            renumbered[k] = static_cast<std::int64_t>(inputs.size());
            inputs.push_back(std::move(body.inputs[k]));
            operands.push_back(region.outside[k]);
        }
        body.inputs = std::move(inputs);
        renumber_leaves(renumbered);
        return operands;
    }

    NodeId region_input(std::uint32_t number) const {
        const std::vector<Node>& nodes = region.function.nodes;
        for (std::uint32_t i = 0; i < nodes.size(); ++i) {
            if (nodes[i].op == OpId::input && input_number(NodeId{i}) == number) return NodeId{i};
        }
        return {};
    }
    std::uint32_t input_number(NodeId id) const {
        return static_cast<std::uint32_t>(
            region.function[id].attributes.get<std::int64_t>("index"));
    }

    // Leaves of inputs that are gone go as well; origins become the body's own.
    void renumber_leaves(const std::vector<std::int64_t>& inputs) {
        Function& body = region.function;
        const Function& root = context.root_builder->function();
        std::vector<NodeId> moved(body.nodes.size());
        std::map<OriginId, OriginId> origins{{0, 0}};
        std::vector<Node> nodes;
        body.origins.assign(1, Origin{});
        for (std::size_t i = 0; i < body.nodes.size(); ++i) {
            Node each = std::move(body.nodes[i]);
            if (each.op == OpId::input) {
                const auto index = each.attributes.get<std::int64_t>("index");
                const std::int64_t number = inputs[static_cast<std::size_t>(index)];
                if (number < 0) continue;
                each.attributes.set("index", number);
            }
            for (NodeId& input : each.inputs) input = moved[input.index];
            const auto next = static_cast<OriginId>(body.origins.size());
            const auto [origin, is_new] = origins.emplace(each.origin, next);
            if (is_new) body.origins.push_back(root.origins[each.origin]);
            each.origin = origin->second;
            moved[i] = NodeId{static_cast<std::uint32_t>(nodes.size())};
            nodes.push_back(std::move(each));
        }
        body.nodes = std::move(nodes);
        for (Function::Result& result : body.results) result.value = moved[result.value.index];
    }

    Datum make_scan(const Datum& result) {
        std::size_t sequence_count = 0, carry_count = 0;
        const std::vector<NodeId> operands = order_inputs(sequence_count, carry_count);
        GraphBuilder& builder = *context.builder;
        note_origin(context, place);
        std::vector<netc::Value> values;
        for (const NodeId operand : operands) values.push_back({&builder, operand});
        std::vector<Type> types;
        for (const Function::Result& each : region.function.results) {
            types.push_back(region.function[each.value].type);
        }
        const auto number = static_cast<std::int64_t>(context.function->bodies.size());
        context.function->bodies.push_back(std::move(region.function));
        const netc::Value scan =
            builder.make(OpId::scan, values,
                         {{"body", number},
                          {"steps", Shape{steps}},
                          {"sequences", static_cast<std::int64_t>(sequence_count)},
                          {"carries", static_cast<std::int64_t>(carry_count)},
                          {"reverse", sequences[0].reverse}});
        std::size_t next = 0;
        const auto part = [&](bool stacked) {
            Type type = types[next];
            if (stacked) type.shape.insert(type.shape.begin(), steps);
            return builder.make(OpId::scan_result, {scan},
                                {{"number", static_cast<std::int64_t>(next++)},
                                 {"dtype", type.dtype},
                                 {"shape", type.shape}});
        };
        for (const Carry& carry : region.carries) {
            if (!carry.assigned.known()) continue;
            const Tensor* initial = carry.initial.tensor();
            carry.entry->value = tensor_datum(context, part(false), carry.assigned, {initial});
        }
        return stack_results(result, [&] { return part(true); });
    }

    template <class Part>
    Datum stack_results(const Datum& result, Part part) {
        const Items one{result};
        const Tensor* over = sequences[0].tensor.get();
        Items stacks;
        for (const Datum& item : result.is<TupleValue>() ? *result.items() : one) {
            netc::Value stack = part();
            const std::int64_t axis = sequences[0].axis;
            if (axis > 0) {
                std::vector<std::int64_t> order;
                for (std::int64_t i = 0; i < static_cast<std::int64_t>(stack.type().rank()); ++i) {
                    order.push_back(i < axis ? i + 1 : i == axis ? 0 : i);
                }
                stack = context.builder->permute(stack, order);
            }
            std::vector<const Tensor*> sources{over};
            if (item.tensor()) sources.push_back(item.tensor());
            stacks.push_back(tensor_datum(context, stack, place, sources));
        }
        return result.is<TupleValue>() ? make_tuple(std::move(stacks), place) : stacks[0];
    }
};

}  // namespace

Datum make_scan_node(Context& context, Region& region, const std::vector<SequenceValue>& sequences,
                     const Dim& steps, Span place, const Datum& result) {
    return ScanNode{context, region, sequences, steps, place}.make_scan(result);
}

}  // namespace netc::frontend
