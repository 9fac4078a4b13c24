// The exact minimum of a quadratic loss: gradient(p) = H p + g, so H p = -g.
//
// H is found a column at a time, as the difference of two gradients; no operator has to be known for it.
// The normal equation of least squares is this with H = 2 A'A / n: Gauss 1809.
#pragma once

#include "runtime/train/objective.h"

namespace netc {

// Sets the parameters of the objective to a minimum; of several, the one of small entries. An Error of status
// kExitRun where there is none: the loss falls without end.
Status solve_normal_equation(Objective& objective);

}  // namespace netc
