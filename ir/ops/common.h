// What the records of operators share: facts for shape errors, shape rules of whole families, small
// helpers for gradients and lowering. Only ir/ops/*.cpp and ir/op_def.cpp include this.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ir/graph_builder.h"
#include "ir/internal_error.h"
#include "ir/op_def.h"

namespace netc {

#define NETC_OP(name, record) extern const OpDef record;
#include "ir/ops.def"
#undef NETC_OP

namespace ops {

using Integers = std::vector<std::int64_t>;

// A wrong use. The frontend finds most of them first, with better places.
inline Error fact(std::string message) { return Error{kExitInternal, std::move(message)}; }
// A right use that this version cannot compile.
inline Error not_yet(const std::string& what) { return Error{kExitProgram, what}; }

// Which dtypes an elementwise operator takes.
constexpr bool any_dtype(DType) { return true; }
constexpr bool number_dtype(DType type) { return type != DType::b1; }
constexpr bool float_dtype(DType type) { return is_float(type); }
constexpr bool logical_dtype(DType type) { return type == DType::b1; }

using AcceptDType = bool (*)(DType);
Status check_dtype(AcceptDType accepts, DType type);
// Factors of a contraction: two floats of one dtype, or bytes with and without sign.
Status check_factors(DType a, DType b);
// All operands have this type.
Status check_equal_types(const std::vector<Type>& types);

// Elementwise: equal types in, the same type (or b1) out.
template <AcceptDType accepts>
Result<Type> infer_elementwise(const InferContext& context) {
    if (Status status = check_dtype(accepts, context.inputs[0].dtype); !status) {
        return status.error();
    }
    if (Status status = check_equal_types(context.inputs); !status) return status.error();
    return context.inputs[0];
}
template <AcceptDType accepts>
Result<Type> infer_comparison(const InferContext& context) {
    Result<Type> type = infer_elementwise<accepts>(context);
    if (type) type->dtype = DType::b1;
    return type;
}

template <ScalarOp op>
ScalarId lower_unary(Lowering& lowering) {
    return lowering.scalars().unary(op, lowering.read(0, lowering.out()));
}
template <ScalarOp op>
ScalarId lower_binary(Lowering& lowering) {
    const ScalarId a = lowering.read(0, lowering.out());
    return lowering.scalars().binary(op, a, lowering.read(1, lowering.out()));
}

// Axes in 0 .. rank-1, ascending, no repetition.
Status check_axes(const Integers& axes, std::size_t rank);
// As many entries as wanted, each at least `least`.
Status check_integers(const char* name, const Integers& values, std::size_t count,
                      std::int64_t least);
// A dimension that is known is at least 1.
Status check_dims(const Shape& shape);

// a*B + c; what is more general never reaches code generation.
Extent extent_of(const Dim& dim);
// The constant of a type: floats, integers and b1.
ScalarId scalar_constant(ScalarGraph& scalars, double value, DType type);
// Row-major number of an element. Dims after the first are static: see check_linear.
Index linear_index(const std::vector<Index>& index, const Shape& shape);
// Only the first dim (after ones) may hold the batch.
Status check_linear(const Shape& shape);
bool holds_batch(const Dim& dim);
// A condition that always holds or never: b1.
ScalarId truth(ScalarGraph& scalars, bool value);
// Is the value not a number; false for integers.
ScalarId is_nan(ScalarGraph& scalars, ScalarId value);

// Greatest value and its position (i32) over the reduced axes, row-major: the first of equals wins,
// NaN beats all. `position` counts up along the axes.
ScalarId reduce_position_of_max(Lowering& lowering, ScalarId value, ScalarId position);
// The identity of max: minus infinity or the least integer.
double lowest(DType type);

// Attributes of all steps of a scan: `first` for the axis of the steps, the others behind it with `added`.
Integers behind(std::int64_t first, const Integers& rest, std::int64_t added);

// Types of floats for samples.
Type real(Shape shape);
Type ints(Shape shape);
Dim batch();

}  // namespace ops
}  // namespace netc
