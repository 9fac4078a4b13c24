// Nodes from the elaborator's side: appending, broadcasting, and where a dimension's number comes from.
#include <fmt/format.h>

#include "frontend/elaborate_scan.h"
#include "ir/op_def.h"

namespace netc::frontend {

namespace {

// Calls that lead to the text being evaluated, outermost first.
std::vector<Span> call_chain(const Frame* frame) {
    std::vector<Span> calls;
    for (; frame && frame->caller; frame = frame->caller) calls.push_back(frame->call);
    return {calls.rbegin(), calls.rend()};
}

OriginId make_origin(Context& context, Span place) {
    Origin origin;
    origin.span = place;
    if (context.frame && context.frame->instance) origin.instance = context.frame->instance->path;
    origin.calls = call_chain(context.frame);
    return context.root_builder->add_origin(std::move(origin));
}

}  // namespace

void note_origin(Context& context, Span place) {
    if (!context.builder) return;
    Frame* frame = context.frame;
    if (frame && frame->file && frame->file->library) {
        if (frame->origin == 0) frame->origin = make_origin(context, blame(context, place));
        context.builder->set_origin(frame->origin);
        return;
    }
    const std::pair key{frame ? frame->origin : 0, place.begin};
    if (frame && frame->caller) {  // a layer of the user: one origin an expression and call
        context.builder->set_origin(make_origin(context, place));
        return;
    }
    OriginId& origin = context.origins[key];
    if (origin == 0) origin = make_origin(context, place);
    context.builder->set_origin(origin);
}

netc::Value graph_value(Context& context, const Tensor& tensor) {
    return {context.builder, node_here(context, tensor.region, tensor.id)};
}

Datum tensor_datum(Context& context, netc::Value value, Span place,
                   const std::vector<const Tensor*>& sources) {
    auto tensor = std::make_shared<Tensor>();
    tensor->id = value.id;
    tensor->type = value.type();
    tensor->place = place;
    tensor->region = current_region(context);
    const Shape& shape = tensor->type.shape;
    tensor->origins.resize(shape.size());
    for (std::size_t i = 0; i < shape.size(); ++i) {
        // The same dimension of a source first, then any equal one.
        const Tensor* found = nullptr;
        std::size_t at = 0;
        for (const Tensor* source : sources) {
            const Shape& other = source->type.shape;
            for (std::size_t j = 0; j < other.size(); ++j) {
                if (!(other[j] == shape[i])) continue;
                if (!found || (j == i && at != i)) {
                    found = source;
                    at = j;
                }
            }
            if (found) break;
        }
        tensor->origins[i] = found ? found->origins[at] : place;
    }
    return {TensorPointer(std::move(tensor)), place};
}

bool refuse_half_arithmetic(Context& context, OpId op, DType result, Span place) {
    const OpFamily family = op_def(op).family;
    const bool moves = family == OpFamily::leaf || family == OpFamily::view || op == OpId::cast ||
                       op == OpId::select || op == OpId::stop_gradient;
    if (!is_half(result) || moves) return false;
    const std::string what = fmt::format("`{}` of {}", name_of(op), name_of(result));
    report(context, diagnose<Code::not_supported_yet>(blame(context, place), what)
                        .help("calculate in `real`: `cast(x, real)`"));
    return true;
}

Datum make_node(Context& context, OpId op, const std::vector<const Tensor*>& inputs,
                Attributes attributes, Span place) {
    if (!context.builder) {
        return report(context, diagnose<Code::wrong_static_type>(
                                   blame(context, place), "this value",
                                   "static: tensors live in models and train sections only"));
    }
    if (context.function->nodes.size() >= kNodeBudget) {
        if (context.over_budget) return failed_datum();
        context.over_budget = true;
        return report(context, diagnose<Code::node_budget>(blame(context, place), kNodeBudget));
    }
    note_origin(context, place);
    std::vector<netc::Value> values;
    values.reserve(inputs.size());
    for (const Tensor* input : inputs) values.push_back(graph_value(context, *input));
    Result<netc::Value> made =
        context.builder->try_make(op, std::move(values), std::move(attributes));
    if (!made) {
        return report(context, diagnose<Code::malformed_specification>(blame(context, place),
                                                                       made.error().message));
    }
    if (refuse_half_arithmetic(context, op, made->type().dtype, place)) return failed_datum();
    return tensor_datum(context, *made, place, inputs);
}

Datum number_tensor(Context& context, const Datum& number, DType dtype, const Shape& shape,
                    Span place) {
    if (!context.builder) return make_node(context, OpId::constant, {}, {}, place);
    note_origin(context, place);
    if (const Dim* dim = number.as<Dim>()) {
        netc::Value value = context.builder->extent(*dim, dtype);
        if (!shape.empty()) value = context.builder->broadcast(value, shape);
        return tensor_datum(context, value, place, {});
    }
    double filled = 0;
    if (const bool* truth = number.as<bool>()) {
        filled = *truth ? 1 : 0;
    } else {
        filled = number_of(number);
    }
    if (!is_float(dtype) && number.is<double>() &&
        filled != static_cast<double>(static_cast<std::int64_t>(filled))) {
        return report(context,
                      diagnose<Code::dtypes_differ>(blame(context, place), number_text(filled),
                                                    fmt::format("a tensor of {}", name_of(dtype))));
    }
    return tensor_datum(context, context.builder->constant(filled, dtype, shape), place, {});
}

Datum as_tensor(Context& context, const Datum& value, DType dtype, Span place) {
    if (value.failed() || value.tensor()) return value;
    if (value.is_number() || value.is<bool>()) {
        return number_tensor(context, value, value.is<bool>() ? DType::b1 : dtype, {}, place);
    }
    if (const FunctionValue* function = value.function()) {
        const Span at = blame(context, value.place);
        return report(context, diagnose<Code::layer_instead_of_tensor>(at, "this")
                                   .text("a {} that nothing flows through yet",
                                         function->is_layer() ? "layer" : "function"));
    }
    return report(context,
                  diagnose<Code::wrong_static_type>(
                      blame(context, value.place.known() ? value.place : place), "this", "a tensor")
                      .text("this is {}", describe_kind(value)));
}

std::optional<Shape> broadcast_shapes(const Shape& a, const Shape& b) {
    if (a == b || b.empty()) return a;
    if (a.empty()) return b;
    if (a.size() == b.size()) {
        Shape shape = a;
        for (std::size_t i = 0; i < a.size(); ++i) {
            if (a[i] == b[i]) continue;
            if (a[i] == Dim(1)) {
                shape[i] = b[i];
            } else if (!(b[i] == Dim(1))) {
                return std::nullopt;
            }
        }
        return shape;
    }
    const Shape& longer = a.size() > b.size() ? a : b;
    const Shape& shorter = a.size() > b.size() ? b : a;
    const std::size_t skip = longer.size() - shorter.size();
    for (std::size_t i = 0; i < shorter.size(); ++i) {
        if (!(longer[skip + i] == shorter[i])) return std::nullopt;
    }
    return longer;
}

Datum broadcast_to(Context& context, const Datum& value, const Shape& shape, Span place) {
    const Tensor* tensor = value.tensor();
    if (!tensor || tensor->type.shape == shape) return value;
    return make_node(context, OpId::broadcast, {tensor}, {{"shape", shape}}, place);
}

}  // namespace netc::frontend
