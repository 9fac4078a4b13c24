// Winograd's minimal filtering F(m x m, 3 x 3): a convolution of 3 x 3 taps as (m + 2)^2 products of matrices, one
// for each element of a transformed tile, instead of 9 m^2 multiplications for each tile and pair of channels.
//
//     y = A^T ((G w G^T) . (B^T x B)) A        x a tile of m + 2 places, y one of m, overlapping by two
//
// Elements of a row of tiles lie together: what one row of tiles needs is near, and a tile's element is a matrix.
//
// The matrices are those of Toom and Cook for the points 0, +-p, .. and infinity (A. Lavin, S. Gray: Fast Algorithms
// for Convolutional Neural Networks, 2016). F(4, 3) uses 5/8 and 3/2 instead of the usual 1 and 2: with these the
// error is a quarter (B. Barabasz et al.: Error Analysis and Improving the Accuracy of Winograd Convolution, 2018, say
// how points matter; docs/performance.md has what was measured).
#include <cmath>
#include <functional>

#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr std::int64_t kTaps = 3;

constexpr AttributeSpec kTileAttribute{"tile", AttributeKind::integer,
                                       "places of the result along a side of a tile, 2 or 4"};
constexpr AttributeSpec kWeightsAttributes[] = {kTileAttribute};
constexpr AttributeSpec kInputAttributes[] = {
    kTileAttribute, {"pad", AttributeKind::integers, "padding on both sides, per axis"}};
constexpr AttributeSpec kOutputAttributes[] = {
    kTileAttribute, {"size", AttributeKind::integers, "places of the result, per axis"}};

std::int64_t tile_of(const Attributes& attributes) { return attributes.get<std::int64_t>("tile"); }
// Elements along a side of a transformed tile.
std::int64_t side_of(std::int64_t tile) { return tile + kTaps - 1; }

using Row = std::vector<double>;
struct Matrices {
    std::vector<Row> weights, input, output;  // G, B^T, A^T
};

// Finite points come in pairs of both signs behind 0, so that rows (of B^T) and columns (of A^T) 1 and 2, 3 and 4 differ
// in signs only. What is divided by is in G, which is applied once.
Matrices matrices_of(std::int64_t tile) {
    const std::vector<double> points = tile == 2 ? std::vector<double>{0, 1, -1}
                                                 : std::vector<double>{0, 0.625, -0.625, 1.5, -1.5};
    // Coefficients of the product of (x - point) over all points but one.
    const auto product_without = [&](std::size_t left_out) {
        Row product{1};
        for (std::size_t i = 0; i < points.size(); ++i) {
            if (i == left_out) continue;
            product.insert(product.begin(), 0);
            for (std::size_t k = 0; k + 1 < product.size(); ++k)
                product[k] -= points[i] * product[k + 1];
        }
        return product;
    };
    Matrices m;
    for (std::size_t i = 0; i < points.size(); ++i) {
        Row data = product_without(i);
        double denominator = 0;
        for (std::size_t k = data.size(); k-- > 0;) denominator = denominator * points[i] + data[k];
        data.push_back(0);
        m.input.push_back(std::move(data));
        Row taps;
        for (int k = 0; k < kTaps; ++k) taps.push_back(std::pow(points[i], k) / denominator);
        m.weights.push_back(std::move(taps));
    }
    m.input.push_back(product_without(points.size()));
    m.weights.push_back({0, 0, 1});
    for (std::int64_t k = 0; k < tile; ++k) {
        Row powers;
        for (double point : points) powers.push_back(std::pow(point, k));
        powers.push_back(k + 1 == tile ? 1 : 0);
        m.output.push_back(std::move(powers));
    }
    return m;
}

using Element = std::function<ScalarId(std::size_t)>;

// The sum of row[i] * element(i) over these i, from the first one on; nothing where all are zero.
ScalarId sum_of(ScalarGraph& s, const Row& row, const Element& element, std::size_t first,
                std::size_t step, double sign = 1) {
    ScalarId sum = kNoScalar;
    for (std::size_t i = first; i < row.size(); i += step) {
        const double factor = sign * row[i];
        if (factor == 0) continue;
        const ScalarId value = element(i);
        const ScalarId number = s.number(factor, s.type(value));
        sum = sum == kNoScalar ? s.binary(ScalarOp::mul, number, value)
              : factor == 1    ? s.binary(ScalarOp::add, value, sum)
                               : s.fma(number, value, sum);
    }
    return sum;
}

ScalarId add(ScalarGraph& s, ScalarId a, ScalarId b, bool minus) {
    if (b == kNoScalar) return a;
    if (minus) b = s.unary(ScalarOp::neg, b);
    return a == kNoScalar ? b : s.binary(ScalarOp::add, a, b);
}

// A row of B^T: even and odd powers apart, each made once for a pair of points.
ScalarId of_input(ScalarGraph& s, const Row& row, const Element& element) {
    double sign = 1;
    for (std::size_t i = row.size() - (row.size() % 2 == 0 ? 1 : 2); i < row.size(); i -= 2) {
        if (row[i] != 0) {
            sign = row[i] < 0 ? -1 : 1;
            break;
        }
    }
    return add(s, sum_of(s, row, element, 0, 2), sum_of(s, row, element, 1, 2, sign), sign < 0);
}

// A row of A^T: sums and differences of the elements of a pair, each made once.
ScalarId of_output(ScalarGraph& s, const Row& row, const Element& element) {
    Row factors{row[0]};
    for (std::size_t i = 1; i + 1 < row.size(); i += 2) factors.push_back(row[i]);
    factors.push_back(row.back());
    const auto joined = [&](std::size_t k) {
        if (k == 0) return element(0);
        if (k + 1 == factors.size()) return element(row.size() - 1);
        const std::size_t i = 2 * k - 1;
        return add(s, element(i), element(i + 1), row[i] != row[i + 1]);
    };
    return sum_of(s, factors, joined, 0, 1);
}

ScalarId of_weights(ScalarGraph& s, const Row& row, const Element& element) {
    return sum_of(s, row, element, 0, 1);
}

// One element of M z M^T, where `rule` applies a row of M; `element(i, j)` is of z.
ScalarId of_both(ScalarGraph& s, ScalarId (*rule)(ScalarGraph&, const Row&, const Element&),
                 const Row& row, const Row& column,
                 const std::function<ScalarId(std::size_t, std::size_t)>& element) {
    return rule(s, column, [&](std::size_t j) {
        return rule(s, row, [&](std::size_t i) { return element(i, j); });
    });
}

Status check_tile(std::int64_t tile) {
    if (tile == 2 || tile == 4) return {};
    return fact(fmt::format("tiles of {} places", tile));
}

Status check_rank(const Type& type, std::size_t rank) {
    if (Status s = check_dtype(float_dtype, type.dtype); !s) return s;
    if (type.rank() == rank) return {};
    return fact(fmt::format("{} has not {} dimensions", type.to_string(), rank));
}

Result<Type> infer_weights(const InferContext& context) {
    const Type& w = context.inputs[0];
    const std::int64_t tile = tile_of(context.attributes);
    if (Status s = check_tile(tile); !s) return s.error();
    if (Status s = check_rank(w, 4); !s) return s.error();
    if (w.shape[2] != Dim(kTaps) || w.shape[3] != Dim(kTaps))
        return fact(w.to_string() + " has not 3 x 3 taps");
    const Dim side(side_of(tile));
    return Type{w.dtype, {side, side, w.shape[1], w.shape[0]}};
}

Result<Type> infer_input(const InferContext& context) {
    const Type& x = context.inputs[0];
    const std::int64_t tile = tile_of(context.attributes);
    const Integers& pad = context.attributes.get<Integers>("pad");
    if (Status s = check_tile(tile); !s) return s.error();
    if (Status s = check_rank(x, 4); !s) return s.error();
    if (Status s = check_integers("pad", pad, 2, 0); !s) return s.error();
    const auto tiles = [&](std::size_t axis) {
        const Dim places = x.shape[2 + axis] + Dim(2 * pad[axis] - (kTaps - 1));
        return floor_div(places + Dim(tile - 1), tile);
    };
    const Dim side(side_of(tile));
    Type v{x.dtype, {x.shape[0], tiles(0), side, side, tiles(1), x.shape[1]}};
    if (Status s = check_dims(v.shape); !s) return s.error();
    return v;
}

Result<Type> infer_output(const InferContext& context) {
    const Type& m = context.inputs[0];
    const std::int64_t tile = tile_of(context.attributes);
    const Integers& size = context.attributes.get<Integers>("size");
    if (Status s = check_tile(tile); !s) return s.error();
    if (Status s = check_rank(m, 6); !s) return s.error();
    if (Status s = check_integers("size", size, 2, 1); !s) return s.error();
    for (std::size_t axis = 0; axis < 2; ++axis) {
        if (m.shape[2 + axis] != Dim(side_of(tile)) ||
            m.shape[1 + 3 * axis] != Dim((size[axis] + tile - 1) / tile)) {
            return fact(fmt::format("{} are not tiles of {} places for {} x {}", m.to_string(),
                                    tile, size[0], size[1]));
        }
    }
    return Type{m.dtype, {m.shape[0], m.shape[5], Dim(size[0]), Dim(size[1])}};
}

// Where the element lies in its tile: known, see OpDef::tile.
std::size_t within(const Index& index, std::int64_t tile) {
    const Index rest = simplify(floor_mod(index, tile), [](AxisId) { return std::nullopt; });
    if (!rest.is_constant()) internal_error("a tile is computed in parts");
    return static_cast<std::size_t>(rest.constant());
}

ScalarId lower_weights(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const std::vector<Index> out = lowering.out();
    const std::int64_t tile = tile_of(lowering.attributes()), side = side_of(tile);
    const Matrices m = matrices_of(tile);
    const ScalarId sum = of_both(
        s, of_weights, m.weights[within(out[0], side)], m.weights[within(out[1], side)],
        [&](std::size_t i, std::size_t j) {
            const auto y = static_cast<std::int64_t>(i), x = static_cast<std::int64_t>(j);
            return s.cast(lowering.read(0, {out[3], out[2], Index(y), Index(x)}), DType::f64);
        });
    return s.cast(sum, lowering.output_type().dtype);
}

ScalarId lower_input(Lowering& lowering) {
    const std::vector<Index> out = lowering.out();
    const Integers& pad = lowering.attributes().get<Integers>("pad");
    const std::int64_t tile = tile_of(lowering.attributes()), side = side_of(tile);
    const Matrices m = matrices_of(tile);
    return of_both(lowering.scalars(), of_input, m.input[within(out[2], side)],
                   m.input[within(out[3], side)], [&](std::size_t i, std::size_t j) {
                       const Index y = out[1] * tile + Index(static_cast<std::int64_t>(i) - pad[0]);
                       const Index x = out[4] * tile + Index(static_cast<std::int64_t>(j) - pad[1]);
                       return lowering.read(0, {out[0], out[5], y, x}, Outside::zero);
                   });
}

ScalarId lower_output(Lowering& lowering) {
    const std::vector<Index> out = lowering.out();
    const std::int64_t tile = tile_of(lowering.attributes());
    const Matrices m = matrices_of(tile);
    return of_both(lowering.scalars(), of_output, m.output[within(out[2], tile)],
                   m.output[within(out[3], tile)], [&](std::size_t i, std::size_t j) {
                       return lowering.read(0, {out[0], floor_div(out[2], tile),
                                                Index(static_cast<std::int64_t>(i)),
                                                Index(static_cast<std::int64_t>(j)),
                                                floor_div(out[3], tile), out[1]});
                   });
}

Integers tile_of_weights(const Attributes& attributes) {
    const std::int64_t side = side_of(tile_of(attributes));
    return {side, side, 1, 1};
}
Integers tile_of_input(const Attributes& attributes) {
    const std::int64_t side = side_of(tile_of(attributes));
    return {1, 1, side, side, 1, 1};
}
Integers tile_of_output(const Attributes& attributes) {
    const std::int64_t tile = tile_of(attributes);
    return {1, 1, tile, tile};
}

std::vector<Sample> weights_samples() {
    return {{{real({5, 3, 3, 3})}, {{"tile", std::int64_t{4}}}},
            {{real({18, 17, 3, 3})}, {{"tile", std::int64_t{2}}}}};
}

std::vector<Sample> input_samples() {
    std::vector<Sample> samples;
    for (const std::int64_t tile : {2, 4}) {
        for (const std::int64_t pad : {0, 1}) {
            samples.push_back(
                {{real({batch(), 18, 7, 8})}, {{"tile", tile}, {"pad", Integers{pad, 1 - pad}}}});
        }
    }
    return samples;
}

// Whole tiles, and tiles of which a part is left.
std::vector<Sample> output_samples() {
    std::vector<Sample> samples;
    for (const std::int64_t tile : {2, 4}) {
        const Dim side(side_of(tile));
        samples.push_back({{real({batch(), 2, side, side, 3, 17})},
                           {{"tile", tile}, {"size", Integers{2 * tile, 3 * tile}}}});
        samples.push_back({{real({batch(), 2, side, side, 2, 3})},
                           {{"tile", tile}, {"size", Integers{2 * tile - 1, tile + 1}}}});
    }
    return samples;
}

}  // namespace

constexpr OpDef kWinogradWeights{
    .name = "winograd_weights",
    .doc = "G w G^T of the taps w [O, C, 3, 3], to [m + 2, m + 2, C, O], computed in f64",
    .family = OpFamily::tiles,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kWeightsAttributes,
    .infer = infer_weights,
    .lower = lower_weights,
    .samples = weights_samples,
    .tile = tile_of_weights,
};

constexpr OpDef kWinogradInput{
    .name = "winograd_input",
    .doc = "B^T x B of each tile of x [N, C, y, x], to [N, tiles, m + 2, m + 2, tiles, C]",
    .family = OpFamily::tiles,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kInputAttributes,
    .infer = infer_input,
    .lower = lower_input,
    .samples = input_samples,
    .tile = tile_of_input,
};

constexpr OpDef kWinogradOutput{
    .name = "winograd_output",
    .doc = "A^T z A of each tile of [N, tiles, m + 2, m + 2, tiles, O], to [N, O, y, x]",
    .family = OpFamily::tiles,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kOutputAttributes,
    .infer = infer_output,
    .lower = lower_output,
    .samples = output_samples,
    .tile = tile_of_output,
};

}  // namespace netc
