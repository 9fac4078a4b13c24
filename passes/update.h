// update: the optimizer step as ordinary nodes.
//
//     grad:w                  ->    @w:m' = momentum * @w:m + grad
//                                   @w'   = @w - rate * @w:m'
//
// Formulas and defaults are PyTorch 2's (torch.optim: SGD, Adam, AdamW, RMSprop), so results compare
// number for number. The learning rate is a node too: the schedule over the step counter, unless the
// caller gives a rate (hyper `rate` is not NaN). Clipping (Pascanu et al. 2013) scales all gradients by
// min(1, c / (norm + 1e-6)) before anything else.
#pragma once

#include "ir/graph.h"
#include "ir/network.h"
#include "ir/result.h"
#include "ir/slots.h"

namespace netc {

// Adds slots to module.variables and updates to `function`. `parameters` and `gradients` go in pairs.
// The learning rate of the step, rank 0, f32.
Result<NodeId> update(Module& module, Function& function, const OptimizerSpec& optimizer,
                      const std::vector<VariableId>& parameters,
                      const std::vector<NodeId>& gradients);

}  // namespace netc
