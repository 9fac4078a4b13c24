// Building graph functions: typed helpers that append nodes, infer types and fold nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/op_def.h"
#include "ir/result.h"

namespace netc {

class GraphBuilder;

// A node under construction; operators append to its builder. Both sides of a binary operator must
// have equal types; a number adapts by a broadcast constant.
struct Value {
    GraphBuilder* builder = nullptr;
    NodeId id;
    const Type& type() const;
};

class GraphBuilder {
public:
    explicit GraphBuilder(Function& function) : function_(function) {}
    Function& function() { return function_; }

    // Origin given to the nodes made from now on.
    void set_origin(OriginId origin) { origin_ = origin; }
    OriginId origin() const { return origin_; }
    OriginId add_origin(Origin origin);

    // Appends a node; its type comes from the operator's `infer`. A wrong use is an Error.
    Result<Value> try_make(OpId op, std::vector<Value> inputs, Attributes attributes = {});
    // The same where a wrong use would be a bug of netc.
    Value make(OpId op, std::vector<Value> inputs, Attributes attributes = {});

    Value input(std::uint32_t index);  // of function().inputs
    Value variable(VariableId id, Type type);
    Value hyper(std::string name, DType type);  // seed step rate steps_per_epoch: rank 0
    Value constant(double value, DType type, const Shape& shape = {});  // filled
    Value tensor(std::vector<double> values, Type type);                // small, row-major
    Value iota(Type type, std::int64_t axis);
    // Number of elements as a rank-0 value: a constant, or computed from B.
    Value extent(const Dim& dim, DType type);

    Value broadcast(Value x, const Shape& shape);  // as numpy: aligned at the last dim, 1 stretches
    // Sums over what broadcast stretched: the adjoint of broadcast to `shape`.
    Value unbroadcast(Value x, const Shape& shape);
    Value reshape(Value x, const Shape& shape);
    Value permute(Value x, std::vector<std::int64_t> order);
    Value reduce_sum(Value x, std::vector<std::int64_t> axes, bool keep = false);
    Value reduce_max(Value x, std::vector<std::int64_t> axes, bool keep = false);
    Value einsum(std::string spec, Value a, Value b);
    Value cast(Value x, DType type);
    Value select(Value condition, Value a, Value b);
    Value unary(OpId op, Value x);
    Value binary(OpId op, Value a, Value b);

private:
    Function& function_;
    OriginId origin_ = 0;
};

Value operator+(Value a, Value b);
Value operator-(Value a, Value b);
Value operator-(Value a);
Value operator*(Value a, Value b);
Value operator/(Value a, Value b);
Value operator+(Value a, double b);
Value operator-(Value a, double b);
Value operator*(Value a, double b);
Value operator*(double a, Value b);
Value operator-(double a, Value b);
Value operator/(Value a, double b);
Value operator/(double a, Value b);

// The view of one node that an operator's `grad` gets. dy has the type of the result.
class GradBuilder {
public:
    virtual ~GradBuilder() = default;
    virtual GraphBuilder& graph() = 0;
    virtual const Attributes& attributes() const = 0;
    virtual Value x(std::size_t operand = 0) = 0;
    virtual Value y() = 0;
    virtual Value dy() = 0;
    virtual bool needs(std::size_t operand) = 0;                // does anyone want this gradient
    virtual void add(std::size_t operand, Value gradient) = 0;  // type of the operand
};

}  // namespace netc
