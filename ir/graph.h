// Graph IR: tensor operators in SSA form.
//
// A Function is a dense vector of nodes in topological order; a node has one value, addressed by its
// NodeId. Types are dtype and shape. Elementwise operators want equal shapes: broadcasting is an
// operator of its own. Every node knows where it came from (Origin). What a function may change are
// Variables of its Module: parameters, state, optimizer slots.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ir/dim.h"
#include "ir/dtype.h"
#include "ir/layout.h"
#include "ir/source.h"

namespace netc {

enum class OpId : std::uint16_t {
#define NETC_OP(name, record) name,
#include "ir/ops.def"
#undef NETC_OP
};

struct NodeId {
    std::uint32_t index = UINT32_MAX;
    bool valid() const { return index != UINT32_MAX; }
    friend auto operator<=>(const NodeId&, const NodeId&) = default;
};

using Shape = std::vector<Dim>;

struct Type {
    DType dtype = DType::f32;
    Shape shape;

    std::size_t rank() const { return shape.size(); }
    std::string to_string() const;  // f32[B, 10]
    friend bool operator==(const Type&, const Type&) = default;
};

// Attributes of a node, by name; kept sorted. Which an operator takes stands in its OpDef.
using AttributeValue = std::variant<bool, std::int64_t, double, std::string, DType,
                                    std::vector<std::int64_t>, std::vector<double>, Shape>;
class Attributes {
public:
    Attributes() = default;
    Attributes(std::initializer_list<std::pair<std::string, AttributeValue>> values);
    void set(std::string name, AttributeValue value);
    const AttributeValue* find(std::string_view name) const;
    // The value of an attribute that the operator's record guarantees.
    template <class T>
    const T& get(std::string_view name) const {
        return std::get<T>(*find(name));
    }
    const std::vector<std::pair<std::string, AttributeValue>>& all() const { return values_; }
    friend bool operator==(const Attributes&, const Attributes&) = default;

private:
    std::vector<std::pair<std::string, AttributeValue>> values_;
};

// Where a value comes from: the user's expression, the instance that made it and the calls that led
// there (outermost first). Passes hand it on to what they make.
struct Origin {
    Span span;
    std::string instance;  // LeNet5.conv_1
    std::vector<Span> calls;
};
using OriginId = std::uint32_t;  // index into Function::origins; 0 is "none"
using GroupId = std::uint32_t;   // nodes with the same non-zero group become one kernel

struct Node {
    OpId op;
    std::vector<NodeId> inputs;
    Attributes attributes;
    Type type;
    OriginId origin = 0;
    GroupId group = 0;
    Layout layout;  // chosen by assign_layout; an empty order means row-major
};

// What a Variable is for decides its region: weights hold parameters and state, optimizer the slots,
// prepared what derive_weights moved out of `forward`.
enum class VariableKind : std::uint8_t { parameter, state, slot, prepared };

enum class InitializerKind : std::uint8_t {
    zeros,
    ones,
    full,
    normal,
    uniform,
    xavier_uniform,
    xavier_normal,
    he_uniform,
    he_normal,
    orthogonal,
    rademacher,
    values,
    from_file
};
struct Initializer {
    InitializerKind kind = InitializerKind::zeros;
    std::vector<double> arguments;  // full(c); normal(mean, deviation); uniform(low, high)
    double fan_in = 0;              // of the shape or overridden; 0 where it does not matter
    double fan_out = 0;
    std::vector<double> values;  // row-major, for `values`
    std::string path;            // for `from_file`
    Span span;
};

struct Variable {
    std::string name;  // path below the model: conv_1.weight; slots: conv_1.weight:m
    Type type;         // static shape
    VariableKind kind = VariableKind::parameter;
    Initializer initializer;
    std::uint64_t stream = 0;  // key of its random initial values: hash of the path
    bool decay = true;         // penalty and weight decay touch it
    bool frozen = false;       // gets no gradient and no update
    bool learned = false;      // training data say what it holds before the first step
    double rate = 1.0;         // its learning rate is the optimizer's times this
    Span span;
    std::string layer;  // the kind of layer that owns it: linear, conv
    friend bool operator==(const Variable&, const Variable&) = delete;
};
using VariableId = std::uint32_t;

struct Input {
    std::string name;
    Type type;
    Span span;
    std::string doc;
};

// One function of a module. Leaves are the operators `input` (attribute index), `variable` (attribute
// index), `hyper` (attribute name: seed, step, rate, steps_per_epoch) and constants.
struct Function {
    struct Result {
        std::string name;
        NodeId value;
        Span span = {};
        std::string doc = {};
    };
    struct Update {  // after the call the variable holds the value; all reads see the old one
        VariableId variable = 0;
        NodeId value;
    };

    std::string name;
    std::vector<Input> inputs;
    std::vector<Node> nodes;
    std::vector<Origin> origins{Origin{}};
    std::vector<Result> results;
    std::vector<Update> updates;
    // What its `scan` nodes run for each step, by their attribute `body`. A body's inputs are, in this
    // order, slices of the sequences, the carries, and what is the same in all steps; its results the new
    // carries, then what is stacked. A body reads nothing else: it has no variables and no updates.
    std::vector<Function> bodies;

    const Node& operator[](NodeId id) const { return nodes[id.index]; }
    Node& operator[](NodeId id) { return nodes[id.index]; }
};

// A network on its way through the compiler.
struct Module {
    std::string name;
    std::vector<Variable> variables;
    std::vector<Function> functions;

    Function* find(std::string_view function);
    const Function* find(std::string_view function) const;
};

}  // namespace netc
