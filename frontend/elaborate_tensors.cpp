// Nodes from the elaborator's side: appending, broadcasting, and where a dimension's number comes from.
#include <algorithm>
#include <cmath>

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

bool check_elements(Context& context, const Shape& shape, Span place, std::string_view what) {
    double elements = 1;
    for (const Dim& dim : shape) elements *= std::max(dim.magnitude(), 1.0);
    if (elements <= static_cast<double>(kMaxElements)) return true;
    report(context, diagnose<Code::tensor_too_large>(blame(context, place), what, kMaxElements)
                        .note("its shape is {}", shape_text(shape)));
    return false;
}

bool check_batch(Context& context, const Type& type, Span place) {
    if (context.session.options.open_dimensions) return true;
    int dims = 0;
    bool linear = true;
    for (const Dim& dim : type.shape) {
        if (dim.is_static() || dim.symbols() != std::vector<std::string>{kBatchSymbol}) continue;
        ++dims;
        linear = linear && dim.extent().has_value();
    }
    if (dims < 2 && linear) return true;
    report(context,
           diagnose<Code::not_supported_yet>(
               blame(context, place),
               fmt::format("{}, with the batch {},", type.to_string(),
                           dims < 2 ? "in a product or quotient" : "in several dimensions"))
               .help("give the batch a number: `--dim {}=32`", kBatchSymbol));
    return false;
}

namespace {

// What an operator says of its inputs: that they are wrong, or that this version cannot do it.
Datum refused(Context& context, const Error& error, Span place) {
    const Span at = blame(context, place);
    if (error.status == kExitProgram)
        return report(context, diagnose<Code::not_supported_yet>(at, error.message));
    return report(context, diagnose<Code::malformed_specification>(at, error.message));
}

}  // namespace

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
    if (!made) return refused(context, made.error(), place);
    if (refuse_half_arithmetic(context, op, made->type().dtype, place)) return failed_datum();
    if (!check_elements(context, made->type().shape, place, "this result")) return failed_datum();
    if (!check_batch(context, made->type(), place)) return failed_datum();
    return tensor_datum(context, *made, place, inputs);
}

namespace {

struct Interval {
    std::int64_t least = 0, greatest = 0;
};
Interval interval_of(DType integers) {
    const std::int64_t bits = 8 * size_of(integers);
    if (integers == DType::b1) return {0, 1};
    if (integers == DType::u8) return {0, 255};
    if (bits == 64) return {INT64_MIN, INT64_MAX};
    return {-(std::int64_t{1} << (bits - 1)), (std::int64_t{1} << (bits - 1)) - 1};
}

}  // namespace

bool is_double(std::int64_t value) {
    const auto rounded = static_cast<double>(value);
    return rounded < 0x1p63 && static_cast<std::int64_t>(rounded) == value;
}

bool check_number(const Context& context, const Datum& number, DType dtype, Span place) {
    if (is_float(dtype) || number.is<bool>() || number.is<Dim>()) return true;
    const Span at = blame(context, number.place.known() ? number.place : place);
    const double value = number_of(number);
    if (value != std::floor(value) || !std::isfinite(value)) {
        report(context,
               diagnose<Code::dtypes_differ>(blame(context, place), number_text(value),
                                             fmt::format("a tensor of {}", name_of(dtype))));
        return false;
    }
    const auto [least, greatest] = interval_of(dtype);
    const auto* integer = number.as<std::int64_t>();
    const bool inside = integer ? *integer >= least && *integer <= greatest
                                : value >= static_cast<double>(least) && value < 0x1p63 &&
                                      static_cast<std::int64_t>(value) <= greatest;
    if (inside && (!integer || is_double(*integer))) return true;
    const bool plain = !integer && std::abs(value) < 0x1p53;
    const std::string text = plain ? fmt::format("{:.0f}", value) : describe_value(number);
    Diagnostic diagnostic = diagnose<Code::number_outside_type>(at, text, name_of(dtype));
    if (inside) {
        std::move(diagnostic).text("an int beyond 2^53 that no f64 equals");
        std::move(diagnostic)
            .help("numbers in the text of a program keep 53 bits; give this one as an input");
    } else {
        std::move(diagnostic).text("{} goes from {} to {}", name_of(dtype), least, greatest);
        if (dtype != DType::i64 && dtype != DType::b1) {
            std::move(diagnostic).help("a wider type holds it; `cast` converts a tensor");
        }
    }
    report(context, std::move(diagnostic));
    return false;
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
    if (!check_number(context, number, dtype, place)) return failed_datum();
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
