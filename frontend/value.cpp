// Values of the static world: making, describing, comparing.
#include "frontend/value.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/elaborate.h"

namespace netc::frontend {

Datum::Datum() = default;
Datum::Datum(Kind value, Span where) : kind(std::move(value)), place(where) {}
Datum::Datum(const Datum&) = default;
Datum::Datum(Datum&&) noexcept = default;
Datum& Datum::operator=(const Datum&) = default;
Datum& Datum::operator=(Datum&&) noexcept = default;
Datum::~Datum() = default;

const Items* Datum::items() const {
    if (const auto* list = as<ListValue>()) return list->items.get();
    if (const auto* tuple = as<TupleValue>()) return tuple->items.get();
    return nullptr;
}

bool FunctionValue::is_layer() const {
    if (composition) {
        for (const FunctionPointer& part : parts) {
            if (part->is_layer()) return true;
        }
        return false;
    }
    return declaration && declaration->callable->kind != ast::CallableKind::fn;
}

std::string_view FunctionValue::name() const {
    if (declaration) return declaration->callable->name.text;
    if (builtin) return builtin->name;
    return {};
}

Datum integer_datum(const Dim& dim, Span place) {
    if (dim.is_static()) return {dim.value(), place};
    return {dim, place};
}

Dim dim_of(const Datum& integer) {
    if (const auto* number = integer.as<std::int64_t>()) return Dim(*number);
    return *integer.as<Dim>();
}

double number_of(const Datum& static_number) {
    if (const auto* integer = static_number.as<std::int64_t>()) {
        return static_cast<double>(*integer);
    }
    return *static_number.as<double>();
}

Datum make_list(Items items, Span place) {
    const bool tensors = std::ranges::any_of(items, holds_tensor);
    return {ListValue{std::make_shared<const Items>(std::move(items)), tensors}, place};
}

Datum make_tuple(Items items, Span place) {
    const bool tensors = std::ranges::any_of(items, holds_tensor);
    return {TupleValue{std::make_shared<const Items>(std::move(items)), tensors}, place};
}

std::string shape_text(const Shape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (i > 0) text += ", ";
        text += shape[i].to_string();
    }
    return text + "]";
}

std::string number_text(double value) {
    if (std::isfinite(value) && value == std::floor(value) && std::abs(value) < 1e15) {
        return fmt::format("{:.1f}", value);
    }
    return fmt::format("{}", value);
}

namespace {

struct KindDescriber {
    std::string operator()(const Failed&) const { return "a wrong value"; }
    std::string operator()(bool) const { return "a bool"; }
    std::string operator()(std::int64_t) const { return "an int"; }
    std::string operator()(const Dim&) const { return "a size that is only known at run time"; }
    std::string operator()(double) const { return "a float"; }
    std::string operator()(const std::string&) const { return "a string"; }
    std::string operator()(const QuantityValue&) const { return "a duration"; }
    std::string operator()(const DtypeValue&) const { return "a dtype"; }
    std::string operator()(const ListValue&) const { return "a list"; }
    std::string operator()(const TupleValue&) const { return "a tuple"; }
    std::string operator()(const InitialValue&) const { return "an initialiser"; }
    std::string operator()(const FunctionPointer& function) const {
        return function->is_layer() ? "a layer" : "a function";
    }
    std::string operator()(const TensorPointer& tensor) const {
        return "the tensor " + tensor->type.to_string();
    }
    std::string operator()(const SequenceValue& sequence) const {
        return "the slices of " + sequence.tensor->type.to_string();
    }
    std::string operator()(const FileScope*) const { return "an imported file"; }
};

std::string function_text(const FunctionValue& function) {
    if (function.composition) {
        std::string text;
        for (const FunctionPointer& part : function.parts) {
            text += (text.empty() ? "" : " >> ") + function_text(*part);
        }
        return text;
    }
    if (function.lambda) return "a lambda";
    std::string text(function.name());
    if (!function.configured || function.configuration.empty()) return text;
    text += "(";
    for (std::size_t i = 0; i < function.configuration.size(); ++i) {
        text += (i ? ", " : "") + describe_value(function.configuration[i]);
    }
    return text + ")";
}

}  // namespace

std::string describe_kind(const Datum& value) { return std::visit(KindDescriber{}, value.kind); }

namespace {

// No message has room for more of a list, whose items may be lists of lists.
constexpr std::size_t kLongestList = 2000;

void append_value(std::string& text, const Datum& value) {
    const Items* items = value.items();
    if (!items) {
        text += describe_value(value);
        return;
    }
    const bool list = value.is<ListValue>();
    text += list ? "[" : "(";
    for (std::size_t i = 0; i < items->size(); ++i) {
        if (i > 0) text += ", ";
        if (i == 16 || text.size() > kLongestList) {
            text += "...";
            break;
        }
        append_value(text, (*items)[i]);
    }
    text += list ? "]" : ")";
}

}  // namespace

std::string describe_value(const Datum& value) {
    if (const bool* truth = value.as<bool>()) return *truth ? "true" : "false";
    if (value.is_integer()) return dim_of(value).to_string();
    if (const double* number = value.as<double>()) return number_text(*number);
    if (const auto* text = value.as<std::string>()) return *text;
    if (const auto* quantity = value.as<QuantityValue>()) {
        return fmt::format("{}{}", quantity->value, ast::spelling(quantity->unit));
    }
    if (const auto* dtype = value.as<DtypeValue>()) return std::string(ast::spelling(dtype->dtype));
    if (value.items()) {
        std::string text;
        append_value(text, value);
        return text;
    }
    if (const FunctionValue* function = value.function()) return function_text(*function);
    if (const Tensor* tensor = value.tensor()) return tensor->type.to_string();
    return describe_kind(value);
}

bool holds_tensor(const Datum& value) {
    if (const auto* list = value.as<ListValue>()) return list->tensors;
    if (const auto* tuple = value.as<TupleValue>()) return tuple->tensors;
    return value.tensor() != nullptr;
}

std::optional<bool> same_static(const Datum& a, const Datum& b,
                                const std::function<bool(std::size_t)>& spend) {
    if (a.is_integer() && b.is_integer()) return dim_of(a) == dim_of(b);
    if (a.is<Dim>() || b.is<Dim>()) return false;
    if (a.is_number() && b.is_number()) return number_of(a) == number_of(b);
    if (a.kind.index() != b.kind.index()) return false;
    if (const bool* truth = a.as<bool>()) return *truth == *b.as<bool>();
    if (const auto* text = a.as<std::string>()) return *text == *b.as<std::string>();
    if (const auto* dtype = a.as<DtypeValue>()) return dtype->dtype == b.as<DtypeValue>()->dtype;
    if (const auto* quantity = a.as<QuantityValue>()) {
        const auto* other = b.as<QuantityValue>();
        return quantity->value == other->value && quantity->unit == other->unit;
    }
    if (const Items* items = a.items()) {
        const Items* others = b.items();
        if (items->size() != others->size()) return false;
        if (!spend(items->size())) return std::nullopt;
        for (std::size_t i = 0; i < items->size(); ++i) {
            const std::optional<bool> same = same_static((*items)[i], (*others)[i], spend);
            if (same != true) return same;
        }
        return true;
    }
    if (const auto* function = a.as<FunctionPointer>())
        return *function == *b.as<FunctionPointer>();
    return false;
}

}  // namespace netc::frontend
