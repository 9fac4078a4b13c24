// The functions that the compiler knows itself: one row each. Everything else is written in std.net.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "frontend/elaborate.h"

namespace netc::frontend {

enum class Takes : std::uint8_t {
    anything,
    integer,
    number,
    boolean,
    string,
    dtype,
    integers,
    axes,
    shape,
    pairs
};

struct BuiltinFormal {
    std::string_view name;
    Takes takes = Takes::anything;
    // As text, for the note of a message; empty: required.
    std::string_view default_text = {};
};

// What an implementation gets: the configuration and the values that it is applied to, both with failed
// values where the default is meant; values may also end before those.
struct BuiltinCall {
    Context& context;
    const Builtin& builtin;
    const std::vector<Datum>& configuration;
    const std::vector<Datum>& values;
    Span place;

    // Null where the default is meant.
    const Datum* configured(std::size_t index) const {
        const Datum& value = configuration[index];
        return value.failed() ? nullptr : &value;
    }
    const Datum* given(std::size_t index) const {
        return index < values.size() && !values[index].failed() ? &values[index] : nullptr;
    }
};

struct Builtin {
    std::string_view name;
    std::string_view doc;
    // Empty and not `configurable`: one list of arguments.
    bool configurable = false;
    std::vector<BuiltinFormal> configuration;
    std::vector<BuiltinFormal> inputs;  // names of the second, or only, list
    int max_inputs = 0;                 // -1: any number; the names then repeat the last
    Datum (*apply)(const BuiltinCall&) = nullptr;
};

const Builtin* find_builtin(std::string_view name);
std::span<const Builtin> all_builtins();
// reshape(shape)(x): the argument lists as a reader knows them.
std::string builtin_signature(const Builtin& builtin);

// The families, each in its own file.
void add_static_builtins(std::vector<Builtin>& table);
void add_elementwise_builtins(std::vector<Builtin>& table);
void add_shape_builtins(std::vector<Builtin>& table);
void add_window_builtins(std::vector<Builtin>& table);
void add_initializer_builtins(std::vector<Builtin>& table);
void add_weight_builtins(std::vector<Builtin>& table);

// ---- what implementations share

// The tensor of an input, a number adapting to `dtype`; null when it is none (reported).
TensorPointer tensor_input(const BuiltinCall& call, std::size_t index, DType dtype);
// An axis of a rank, counted from the end when negative; E0310 otherwise.
std::optional<std::int64_t> axis_of(const BuiltinCall& call, const Datum& value,
                                    const Tensor& tensor);
std::optional<std::vector<std::int64_t>> axes_of(const BuiltinCall& call, const Datum& value,
                                                 const Tensor& tensor);
// A list of sizes, or one size; E0203 otherwise.
std::optional<Shape> shape_of(const BuiltinCall& call, const Datum& value);
std::optional<std::vector<std::int64_t>> integers_of(const BuiltinCall& call, const Datum& value,
                                                     std::string_view what);
Datum wrong_value(const BuiltinCall& call, const Datum& value, std::string_view what,
                  std::string_view wanted);

}  // namespace netc::frontend
