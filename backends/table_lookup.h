// Where a vector of 16 finds its elements in a table of 32.
#pragma once

#include <cstdint>

namespace netc {

enum class TableLookup : std::uint8_t { memory, avx2, avx512 };

}  // namespace netc
