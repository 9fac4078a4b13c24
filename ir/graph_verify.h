// What every pass must keep: operands before their readers, attributes as the operator's record says,
// types as it infers them, inputs and variables that exist, results and updates of the right types.
// An Error has status 70 and names the node, its instance and the function.
#pragma once

#include "ir/graph.h"
#include "ir/result.h"

namespace netc {

Status verify(const Module& module);
Status verify(const Function& function, const Module& module);

}  // namespace netc
