// One record per operator: everything the compiler knows about it.
//
// An operator is added in two places: its record, in the file of its family under ir/ops/, and one
// line in ir/ops.def. The reference documentation, shape errors, the interpreter, the gradient and all
// tests are derived from the table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/kernel.h"
#include "ir/result.h"

namespace netc {

// What `infer` sees. Errors are facts about shapes, in the user's terms ("100 is not 784"); the
// frontend checks most of them earlier with better places, so what remains is a bug (status 70). A
// right use that this version cannot compile has kExitProgram, and its message names it.
struct InferContext {
    std::vector<Type> inputs;
    const Attributes& attributes;
};

// What `grad` and `lift` see and make, in graph operators. See graph_builder.h.
class GradBuilder;
class GraphBuilder;
struct Value;

// What `lower` sees: describes one element of the result. Implemented by passes/lower.cpp, which
// substitutes definitions into each other where nodes are grouped.
class Lowering {
public:
    virtual ~Lowering() = default;
    virtual ScalarGraph& scalars() = 0;
    virtual const Attributes& attributes() const = 0;
    virtual const Type& input_type(std::size_t operand) const = 0;
    virtual const Type& output_type() const = 0;
    // Index of the element to compute, one per dim of the result.
    virtual const std::vector<Index>& out() const = 0;
    // Element of an operand. Only where no indirection is needed.
    virtual ScalarId read(std::size_t operand, std::vector<Index> index,
                          Outside outside = Outside::never) = 0;
    // Element whose index in `dim` is data.
    virtual ScalarId read_indirect(std::size_t operand, std::vector<Index> index, std::int32_t dim,
                                   ScalarId position) = 0;
    // An index as a number of an integer type.
    virtual ScalarId number_of(const Index& index, DType type) = 0;
    // A new reduced axis; axes are ordered as they are made, the last fastest.
    virtual Index reduced_axis(Dim extent) = 0;
    // Terms outside of a guard do not exist. Only together with a reduction.
    virtual void guard(Guard guard) = 0;
    // Reduces over all reduced axes; gives the finished states. The order is the kernel's choice
    // (passes/reduction_order.cpp), from logical shape alone.
    virtual std::vector<ScalarId> reduce(std::vector<StateVariable> states,
                                         std::vector<ScalarId> step,
                                         std::vector<ScalarId> merge) = 0;
    // Result of a scatter: `base`, to which for each point of the reduced axes, in their order, `value`
    // is added at index `position` of dim `dim` of the result. `base`, `position` and `value` may use
    // out() in all dims but `dim`; `base` in all. This form compares each position with out()[dim]; a
    // lowering may make an indirect store of it instead, which gives the same sums.
    virtual ScalarId scatter(ScalarId base, std::int32_t dim, ScalarId position, ScalarId value);
    // Sum of terms: state' = state + term.
    ScalarId sum(ScalarId term);
    // a * b in the sum_type of the factors.
    ScalarId product(ScalarId a, ScalarId b);
    // The sum of such products: state' = fma(a, b, state), of integers state + a * b.
    ScalarId contract(ScalarId a, ScalarId b);
};

enum class AttributeKind : std::uint8_t {
    boolean,
    integer,
    number,
    text,
    dtype,
    integers,
    numbers,
    shape
};
struct AttributeSpec {
    std::string_view name;
    AttributeKind kind;
    std::string_view doc;
};

// Inputs for the tests of an operator, on every backend: shapes (may hold B), attributes, and the
// interval that values are drawn from.
struct Sample {
    std::vector<Type> inputs;
    Attributes attributes;
    double low = -2, high = 2;
    std::int64_t integer_limit = 0;  // integer inputs are drawn from 0 .. limit-1
};

// What `lift` and `lift_sum` see: a node of a scan's body. An operand is what it is in one step, or,
// where it is stacked, its values in all steps, with the step as a further first axis.
struct Lift {
    GraphBuilder& graph;
    const Attributes& attributes;
    std::vector<Value> inputs;
    std::vector<bool> stacked;
    Dim steps;
    Shape shape;  // of the result of one step
};

enum class OpFamily : std::uint8_t {
    leaf,
    elementwise,
    view,
    reduction,
    contraction,
    tiles,
    random,
    scatter,
    loop
};

struct OpDef {
    std::string_view name;
    std::string_view doc;
    OpFamily family = OpFamily::elementwise;
    int min_inputs = 0;
    int max_inputs = 0;  // -1: any number
    std::span<const AttributeSpec> attributes = {};
    Result<Type> (*infer)(const InferContext&) = nullptr;
    // Null where nothing can be differentiated (comparisons, argmax): no gradient flows.
    void (*grad)(GradBuilder&) = nullptr;
    // Gives the value of one element; null for input, variable and hyper, which are buffers.
    ScalarId (*lower)(Lowering&) = nullptr;
    std::vector<Sample> (*samples)() = nullptr;
    // The results of all steps of a scan at once, stacked, and their sum. Null where that is not one
    // operator again; elementwise operators need no rule. A rule gives a Value without a node where the
    // shapes do not allow it.
    Value (*lift)(const Lift&) = nullptr;
    Value (*lift_sum)(const Lift&) = nullptr;
    // For simplify: f(max(a, b)) = max(f(a), f(b)).
    bool monotone_increasing = false;
    bool commutative = false;
    // Sides of a tile of the result, one per dim: all elements of a tile are made together, so that what they
    // share is made once. `lower` always knows the place within the tile: out() is known modulo these sides.
    std::vector<std::int64_t> (*tile)(const Attributes&) = nullptr;
    bool alone = false;  // in a kernel of its own, which a backend may know a better way for
    double gradient_tolerance = 1e-5;  // relative, against central differences in double
};

const OpDef& op_def(OpId op);
// The type of the result, after checking the number of operands and the attributes against the record.
Result<Type> infer_type(OpId op, const std::vector<Type>& inputs, const Attributes& attributes);
std::span<const OpId> all_ops();
std::optional<OpId> find_op(std::string_view name);
std::string_view name_of(OpId op);
std::string_view name_of(AttributeKind kind);
AttributeKind kind_of(const AttributeValue& value);
// The reference of all operators as Markdown, for `netc ops`.
std::string operators_reference();

}  // namespace netc
