// What an expression of a .net file stands for while it is elaborated: a value of the static world, or
// a tensor, which is a node of the graph under construction.
//
// A Failed value means that an error was reported; whatever is made of it is silent, so that one cause
// gives one message.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "frontend/ast.h"
#include "ir/graph.h"

namespace netc::frontend {

struct Datum;
struct FileScope;
struct Declaration;
struct Builtin;
struct Scope;
struct Instance;

using Items = std::vector<Datum>;
using ItemsPointer = std::shared_ptr<const Items>;

struct Failed {};
struct ListValue {
    ItemsPointer items;
    bool tensors = false;  // among the items, or in lists among them
};
struct TupleValue {
    ItemsPointer items;
    bool tensors = false;
};
struct DtypeValue {
    ast::Dtype dtype = ast::Dtype::f32;
};
struct QuantityValue {  // 20ep
    double value = 0;
    ast::Unit unit = ast::Unit::steps;
};
// Fan-in and fan-out stay 0 until the shape of the parameter is known, unless they were given.
struct InitialValue {
    std::shared_ptr<const Initializer> initializer;
};

enum class Role : std::uint8_t { expression, input, target, output, parameter, state };

struct Tensor {
    NodeId id;
    Type type;
    std::vector<Span> origins;  // per dimension: the text that its number comes from
    Role role = Role::expression;
    std::string name;          // of an input, target, output, parameter or state
    Span place;                // its declaration, or the user's expression that made it
    std::uint32_t region = 0;  // the scan whose body holds the node; 0: none
};
using TensorPointer = std::shared_ptr<const Tensor>;

// unstack(x, axis): what a scan runs over.
struct SequenceValue {
    TensorPointer tensor;
    std::int64_t axis = 0;  // not negative
    bool reverse = false;
    Span axis_place;
};

struct FunctionValue;
using FunctionPointer = std::shared_ptr<FunctionValue>;

struct Datum {
    using Kind = std::variant<Failed, bool, std::int64_t, Dim, double, std::string, QuantityValue,
                              DtypeValue, ListValue, TupleValue, InitialValue, FunctionPointer,
                              TensorPointer, SequenceValue, const FileScope*>;
    Kind kind;
    Span place;  // the expression that gave it

    // Not inline: every source of the frontend would compile fifteen kinds of each.
    Datum();
    Datum(Kind value, Span where);
    Datum(const Datum&);
    Datum(Datum&&) noexcept;
    Datum& operator=(const Datum&);
    Datum& operator=(Datum&&) noexcept;
    ~Datum();

    bool failed() const { return std::holds_alternative<Failed>(kind); }
    template <class T>
    bool is() const {
        return std::holds_alternative<T>(kind);
    }
    template <class T>
    const T* as() const {
        return std::get_if<T>(&kind);
    }
    const Tensor* tensor() const {
        const TensorPointer* pointer = as<TensorPointer>();
        return pointer ? pointer->get() : nullptr;
    }
    FunctionValue* function() const {
        const FunctionPointer* pointer = as<FunctionPointer>();
        return pointer ? pointer->get() : nullptr;
    }
    // The items of a list or of a tuple; null for others.
    const Items* items() const;
    bool is_integer() const { return is<std::int64_t>() || is<Dim>(); }
    bool is_number() const { return is_integer() || is<double>(); }
};

// What can be applied: a declared layer or function, a builtin, a lambda, a composition. Configuring
// gives a new value; a layer's parameters belong to the value, so a value that is bound and applied
// twice shares them.
struct FunctionValue {
    Span place;  // where it was configured or written

    // A declaration or a builtin, with its configuration once it has one.
    const Declaration* declaration = nullptr;
    const Builtin* builtin = nullptr;
    bool configured = false;
    std::vector<Datum> configuration;

    const ast::Lambda* lambda = nullptr;
    std::shared_ptr<Scope> scope;     // what a lambda sees
    const FileScope* file = nullptr;  // where a lambda was written

    bool composition = false;
    bool repeats = false;  // the composition that `repeat` made
    int depth = 0;         // of compositions in compositions
    std::vector<FunctionPointer> parts;

    // The `let` that bound it, and in which instance; empty where none did.
    std::string bound_name;
    const Instance* bound_in = nullptr;
    Span bound_place;
    bool applied = false;

    // The instance that owns its parameters, from the first application on, within one elaboration.
    Instance* instance = nullptr;
    std::uint64_t elaboration = 0;

    bool is_layer() const;
    std::string_view name() const;  // conv, relu; "" for lambdas and compositions
};

// An int, or a Dim where it is not known while compiling.
Datum integer_datum(const Dim& dim, Span place);
Dim dim_of(const Datum& integer);
double number_of(const Datum& static_number);

Datum make_list(Items items, Span place);
Datum make_tuple(Items items, Span place);
inline Datum failed_datum() { return {}; }

// "an int", "a list", "f32[B, 10]": what a message says that a value is.
std::string describe_kind(const Datum& value);
// The value as text: 3, 0.5, [1, 2], conv(4). Lists are cut behind 16 items and what is longer than a
// message wants.
std::string describe_value(const Datum& value);
std::string number_text(double value);
std::string shape_text(const Shape& shape);  // [B, 10]
// True where a tensor is the value or among the items of a list or tuple.
bool holds_tensor(const Datum& value);
// Lists item by item, which `spend(items)` may end: nothing then.
std::optional<bool> same_static(const Datum& a, const Datum& b,
                                const std::function<bool(std::size_t)>& spend);

}  // namespace netc::frontend
