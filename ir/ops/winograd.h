// What the operators of Winograd's filtering share: its matrices, and how a row of one is applied.
//
//     y = A^T ((G w G^T) . (B^T x B)) A        x a tile of m + 2 places, y one of m, overlapping by two
//
// The matrices are those of Toom and Cook for the points 0, +-p, .. and infinity (A. Lavin, S. Gray: Fast Algorithms
// for Convolutional Neural Networks, 2016). F(4, 3) uses 5/8 and 3/2 instead of the usual 1 and 2: with these the
// error is a quarter (B. Barabasz et al.: Error Analysis and Improving the Accuracy of Winograd Convolution, 2018, say
// how points matter; docs/performance.md has what was measured).
#pragma once

#include <functional>
#include <vector>

#include "ir/ops/common.h"

namespace netc::ops {

constexpr std::int64_t kWinogradTaps = 3;

constexpr AttributeSpec kTileAttribute{"tile", AttributeKind::integer,
                                       "places of an image along a side of a tile, 2 or 4"};

inline std::int64_t tile_of(const Attributes& attributes) {
    return attributes.get<std::int64_t>("tile");
}
// Elements along a side of a transformed tile.
inline std::int64_t side_of(std::int64_t tile) { return tile + kWinogradTaps - 1; }

Status check_tile(std::int64_t tile);
// Floats of this rank.
Status check_winograd_rank(const Type& type, std::size_t rank);

// Where the element lies in its tile: known, see OpDef::tile.
std::size_t within(const Index& index, std::int64_t side);

using Row = std::vector<double>;
struct WinogradMatrices {
    std::vector<Row> weights, input, output;  // G, B^T, A^T
};
// Finite points come in pairs of both signs behind 0, so that rows (of G, B^T, A) and columns (of their transposes) 1 and
// 2, 3 and 4 differ in signs only. What is divided by is in G.
WinogradMatrices winograd_matrices(std::int64_t tile);
std::vector<Row> transposed(const std::vector<Row>& matrix);

using Element = std::function<ScalarId(std::size_t)>;
using RowRule = ScalarId (*)(ScalarGraph&, const Row&, const Element&);

// The sum of row[i] * element(i), as an expression whose parts are made once for all rows that have them: even and odd
// i apart, for a matrix whose rows come in pairs; sums and differences of pairs of elements, where its columns do; as
// it is.
ScalarId row_of_pairs(ScalarGraph& s, const Row& row, const Element& element);
ScalarId row_over_pairs(ScalarGraph& s, const Row& row, const Element& element);
ScalarId plain_row(ScalarGraph& s, const Row& row, const Element& element);

// One element of M z M^T, of these rows of M; `element(i, j)` is of z.
ScalarId of_both(ScalarGraph& s, RowRule rule, const Row& row, const Row& column,
                 const std::function<ScalarId(std::size_t, std::size_t)>& element);

}  // namespace netc::ops
