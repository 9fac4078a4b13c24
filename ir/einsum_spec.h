// The specification of an einsum: one letter per dimension, `bi,io->bo`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/result.h"

namespace netc {

struct EinsumSpec {
    std::vector<std::string> inputs;  // one or two
    std::string output;

    // Letters that the result lacks: by appearance, first operand first. The order of the sum.
    std::string reduced() const;
    std::string to_string() const;
};

// Letters a-z and A-Z, none twice in one operand or in the result, the result's all known.
Result<EinsumSpec> parse_einsum(std::string_view text);

}  // namespace netc
