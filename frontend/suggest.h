// What the user may have meant: names at a small edit distance, then the words of other frameworks.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal
// string alignment); stops counting above `limit` and then returns limit + 1.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit);

// The candidate that `wrong` most probably stands for: equal but for case; at a distance of 1; its
// synonym (`kernel_size` -> `k`, `Dense` -> `linear`) where that is a candidate; at a distance of
// 2, for names of four letters and more. The first of equals.
std::optional<std::string> suggest(std::string_view wrong,
                                   std::span<const std::string_view> candidates);
std::optional<std::string> suggest(std::string_view wrong,
                                   const std::vector<std::string>& candidates);

}  // namespace netc
