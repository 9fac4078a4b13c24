// What builtins_shape.cpp leaves to builtins_errors.cpp: contractions and the longer messages.
#pragma once

#include "frontend/builtins.h"

namespace netc::frontend {

Datum einsum(const BuiltinCall& call);
Datum reshape_error(const BuiltinCall& call, const Tensor& x, const Shape& wanted);
Datum concat_error(const BuiltinCall& call, std::int64_t axis, const Tensor& first,
                   const Tensor& other, Span first_place, Span other_place);

}  // namespace netc::frontend
