// What the first 8 bytes of a region say: which regions an object takes for its own.
#pragma once

#include <cstdint>
#include <string_view>

#include "ir/program.h"

namespace netc {

// Of weights (and gradients, which lie like them) the hash of the model. Of the optimizer also of its slots, of the
// prepared region also of what fills it, and of `machine`: `prepare` alone checks the processor. Needs the kernels'
// texts.
std::uint64_t region_hash(const Program& program, RegionKind region, std::string_view machine = {});

}  // namespace netc
