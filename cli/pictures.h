// Pictures of what a network has learned, as SVG.
#pragma once

#include <string>

#include "cli/options.h"
#include "ir/result.h"

namespace netc {

// What the network of options.file with options.weights answers over the plane of its two inputs, with
// the samples of its train section where they can be read.
Result<std::string> decision_boundary_svg(Options options);
// The weights of the first layer, an image for each output: grey is 0, white and black the largest.
Result<std::string> filters_svg(Options options);

}  // namespace netc
