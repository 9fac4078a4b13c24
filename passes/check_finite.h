// check_finite: after each call a call that looks for NaN and infinity in what the first one stored.
//
//     call 3: conv_1: conv_nd+tanh
//                                      ->    call 3: conv_1: conv_nd+tanh
//                                            call 4: check finite: conv_1: conv_nd+tanh, forward pass, lenet5.net:4:8
//
// Why: --check-finite names the first layer that leaves the real numbers. No other call changes, so no stored bit
// does. Each check leaves a flag (ir/finite_check.h) at the front of its entry's workspace; the inputs are
// checked first. Values that a kernel keeps to itself are seen where they reach one that it stores.
#pragma once

#include "ir/program.h"
#include "ir/source.h"

namespace netc {

void check_finite(Program& program, const SourceMap& sources);

}  // namespace netc
