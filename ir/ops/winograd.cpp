// Winograd's minimal filtering F(m x m, 3 x 3): a convolution of 3 x 3 taps as (m + 2)^2 products of matrices, one
// for each element of a transformed tile, instead of 9 m^2 multiplications for each tile and pair of channels. See
// winograd.h; passes/winograd.h puts the operators together.
//
// Elements of a row of tiles lie together: what one row of tiles needs is near, and a tile's element is a matrix.
#include "ir/ops/winograd.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kWeightsAttributes[] = {
    kTileAttribute,
    {"adjoint", AttributeKind::boolean,
     "of the convolution's adjoint: w [C, O, 3, 3], taps reversed"},
    {"blocked", AttributeKind::boolean, "O in blocks of 16, outside of C: [.., O / 16, C, 16]"}};
constexpr AttributeSpec kInputAttributes[] = {
    kTileAttribute, {"pad", AttributeKind::integers, "padding on both sides, per axis"}};
constexpr AttributeSpec kOutputAttributes[] = {
    kTileAttribute, {"size", AttributeKind::integers, "places of the result, per axis"}};

Result<Type> infer_weights(const InferContext& context) {
    const Type& w = context.inputs[0];
    const std::int64_t tile = tile_of(context.attributes);
    if (Status s = check_tile(tile); !s) return s.error();
    if (Status s = check_winograd_rank(w, 4); !s) return s.error();
    if (w.shape[2] != Dim(kWinogradTaps) || w.shape[3] != Dim(kWinogradTaps))
        return fact(w.to_string() + " has not 3 x 3 taps");
    const Dim side(side_of(tile));
    const bool adjoint = context.attributes.get<bool>("adjoint");
    const Dim in = w.shape[adjoint ? 0 : 1], out = w.shape[adjoint ? 1 : 0];
    if (!context.attributes.get<bool>("blocked")) return Type{w.dtype, {side, side, in, out}};
    if (floor_mod(out, kLanes) != Dim(0)) return fact(out.to_string() + " outputs fill no blocks");
    return Type{w.dtype, {side, side, floor_div(out, kLanes), in, kLanes}};
}

Result<Type> infer_input(const InferContext& context) {
    const Type& x = context.inputs[0];
    const std::int64_t tile = tile_of(context.attributes);
    const Integers& pad = context.attributes.get<Integers>("pad");
    if (Status s = check_tile(tile); !s) return s.error();
    if (Status s = check_winograd_rank(x, 4); !s) return s.error();
    if (Status s = check_integers("pad", pad, 2, 0); !s) return s.error();
    const auto tiles = [&](std::size_t axis) {
        const Dim places = x.shape[2 + axis] + Dim(2 * pad[axis] - (kWinogradTaps - 1));
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
    if (Status s = check_winograd_rank(m, 6); !s) return s.error();
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

ScalarId lower_weights(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const std::vector<Index> out = lowering.out();
    const std::int64_t tile = tile_of(lowering.attributes()), side = side_of(tile);
    const bool adjoint = lowering.attributes().get<bool>("adjoint");
    const bool blocked = lowering.attributes().get<bool>("blocked");
    const Index channel = out[blocked ? 3 : 2];
    const Index output = blocked ? out[2] * kLanes + out[4] : out[3];
    const std::vector<Row> g = winograd_matrices(tile).weights;
    const auto tap = [&](std::size_t i, std::size_t j) {
        const auto y = static_cast<std::int64_t>(adjoint ? 2 - i : i);
        const auto x = static_cast<std::int64_t>(adjoint ? 2 - j : j);
        const ScalarId w = adjoint ? lowering.read(0, {channel, output, Index(y), Index(x)})
                                   : lowering.read(0, {output, channel, Index(y), Index(x)});
        return s.cast(w, DType::f64);
    };
    const ScalarId sum =
        of_both(s, row_of_pairs, g[within(out[0], side)], g[within(out[1], side)], tap);
    return s.cast(sum, lowering.output_type().dtype);
}

ScalarId lower_input(Lowering& lowering) {
    const std::vector<Index> out = lowering.out();
    const Integers& pad = lowering.attributes().get<Integers>("pad");
    const std::int64_t tile = tile_of(lowering.attributes()), side = side_of(tile);
    const WinogradMatrices m = winograd_matrices(tile);
    return of_both(lowering.scalars(), row_of_pairs, m.input[within(out[2], side)],
                   m.input[within(out[3], side)], [&](std::size_t i, std::size_t j) {
                       const Index y = out[1] * tile + Index(static_cast<std::int64_t>(i) - pad[0]);
                       const Index x = out[4] * tile + Index(static_cast<std::int64_t>(j) - pad[1]);
                       return lowering.read(0, {out[0], out[5], y, x}, Outside::zero);
                   });
}

ScalarId lower_output(Lowering& lowering) {
    const std::vector<Index> out = lowering.out();
    const std::int64_t tile = tile_of(lowering.attributes());
    const WinogradMatrices m = winograd_matrices(tile);
    return of_both(lowering.scalars(), row_over_pairs, m.output[within(out[2], tile)],
                   m.output[within(out[3], tile)], [&](std::size_t i, std::size_t j) {
                       return lowering.read(0, {out[0], floor_div(out[2], tile),
                                                Index(static_cast<std::int64_t>(i)),
                                                Index(static_cast<std::int64_t>(j)),
                                                floor_div(out[3], tile), out[1]});
                   });
}

Integers tile_of_weights(const Attributes& attributes) {
    const std::int64_t side = side_of(tile_of(attributes));
    Integers sides{side, side, 1, 1};
    if (attributes.get<bool>("blocked")) sides.push_back(1);
    return sides;
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
    const auto sample = [](Shape w, std::int64_t tile, bool adjoint, bool blocked) {
        return Sample{{real(std::move(w))},
                      {{"tile", tile}, {"adjoint", adjoint}, {"blocked", blocked}}};
    };
    return {sample({5, 3, 3, 3}, 4, false, false), sample({18, 17, 3, 3}, 2, true, false),
            sample({32, 5, 3, 3}, 2, false, true), sample({3, 48, 3, 3}, 4, true, true)};
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
