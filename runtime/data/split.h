// Which rows train and which are held out, and in what order an epoch visits them. Both are
// functions of a seed and nothing else: a resumed run recomputes them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/data_spec.h"
#include "ir/result.h"
#include "runtime/data/dataset.h"

namespace netc {

// `strata` and `groups` hold a number per row (equal numbers: same class, same group), or are
// empty. Rows of a group stay together. Each part is in ascending order. A part that was asked for
// and gets no row is an error (E0612).
Result<Split> make_split(const SplitSpec& spec, std::int64_t rows,
                         std::span<const std::int64_t> strata,
                         std::span<const std::int64_t> groups);

// The text that a run keeps, so that `eval --weights` finds the same rows; and back, checked
// against `rows`.
std::string split_to_text(const Split& split, std::int64_t rows);
Result<Split> split_from_text(std::string_view text, std::int64_t rows);

// The order of the positions 0 .. count - 1 in an epoch: a permutation that depends on (seed,
// epoch) alone.
std::vector<std::int64_t> epoch_order(std::int64_t count, std::uint64_t seed, std::uint64_t epoch);

// An epoch that draws with replacement: first a class, each as likely as any other, then one of its
// rows. `classes` holds a number per row.
std::vector<std::int64_t> balanced_rows(std::span<const std::int64_t> rows,
                                        std::span<const std::int64_t> classes, std::uint64_t seed,
                                        std::uint64_t epoch);

// epoch_order of given rows; unshuffled it is a copy.
std::vector<std::int64_t> epoch_rows(std::span<const std::int64_t> rows, bool shuffle,
                                     std::uint64_t seed, std::uint64_t epoch);

}  // namespace netc
