// Where a vector of 16 finds its elements in a table of 32: in memory, or in two registers by one instruction.
#pragma once

#include <cstdint>

namespace netc {

enum class TableLookup : std::uint8_t { memory, avx512 };

}  // namespace netc
