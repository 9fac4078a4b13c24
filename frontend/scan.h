// A look over the raw text before it is parsed: is it text at all, are its brackets and strings
// closed, is it of a size and depth that a person wrote?
//
// It runs in one pass without a tree, so whatever bytes a file holds are judged in the time it
// takes to read them, and a bracket that is missing is reported where it was opened, not where the
// parser gave up.
#pragma once

#include "frontend/diagnostics.h"
#include "ir/source.h"

#include <cstdint>

namespace netc {

inline constexpr std::size_t kMaxFileBytes = 8u << 20u;
inline constexpr std::size_t kMaxTokens = 200'000;
inline constexpr std::size_t kMaxBracketDepth = 100;

// Whether the file is worth parsing; if not, `diagnostics` says why.
bool scan(const SourceMap& sources, std::uint32_t file, Diagnostics& diagnostics);

}  // namespace netc
