// The adjoints that a gradient towards the weights needs: where y = A^T ((G w G^T) . v) A, that is G^T (v . (A dy A^T)) G,
// summed over tiles.
#include "ir/ops/winograd.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kAttributes[] = {kTileAttribute};

Result<Type> infer_output_gradient(const InferContext& context) {
    const Type& dy = context.inputs[0];
    const std::int64_t tile = tile_of(context.attributes);
    if (Status s = check_tile(tile); !s) return s.error();
    if (Status s = check_winograd_rank(dy, 4); !s) return s.error();
    const auto tiles = [&](std::size_t axis) {
        return floor_div(dy.shape[2 + axis] + Dim(tile - 1), tile);
    };
    const Dim side(side_of(tile));
    return Type{dy.dtype, {dy.shape[0], tiles(0), side, side, tiles(1), dy.shape[1]}};
}

Result<Type> infer_weights_gradient(const InferContext& context) {
    const Type& z = context.inputs[0];
    const std::int64_t tile = tile_of(context.attributes);
    if (Status s = check_tile(tile); !s) return s.error();
    if (Status s = check_winograd_rank(z, 4); !s) return s.error();
    const Dim side(side_of(tile));
    if (z.shape[0] != side || z.shape[1] != side)
        return fact(fmt::format("{} are not tiles of {} places", z.to_string(), tile));
    return Type{z.dtype, {z.shape[3], z.shape[2], kWinogradTaps, kWinogradTaps}};
}

ScalarId lower_output_gradient(Lowering& lowering) {
    const std::vector<Index> out = lowering.out();
    const std::int64_t tile = tile_of(lowering.attributes()), side = side_of(tile);
    const std::vector<Row> a = transposed(winograd_matrices(tile).output);
    const auto place = [&](std::size_t i, std::size_t j) {
        const Index y = out[1] * tile + Index(static_cast<std::int64_t>(i));
        const Index x = out[4] * tile + Index(static_cast<std::int64_t>(j));
        return lowering.read(0, {out[0], out[5], y, x}, Outside::zero);
    };
    return of_both(lowering.scalars(), row_of_pairs, a[within(out[2], side)],
                   a[within(out[3], side)], place);
}

// In f64, as G is not exact in f32.
ScalarId lower_weights_gradient(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const std::vector<Index> out = lowering.out();
    const std::vector<Row> g =
        transposed(winograd_matrices(tile_of(lowering.attributes())).weights);
    const auto element = [&](std::size_t i, std::size_t j) {
        const auto y = static_cast<std::int64_t>(i), x = static_cast<std::int64_t>(j);
        return s.cast(lowering.read(0, {Index(y), Index(x), out[1], out[0]}), DType::f64);
    };
    const ScalarId sum = of_both(s, row_over_pairs, g[within(out[2], kWinogradTaps)],
                                 g[within(out[3], kWinogradTaps)], element);
    return s.cast(sum, lowering.output_type().dtype);
}

std::vector<std::int64_t> tile_of_output_gradient(const Attributes& attributes) {
    const std::int64_t side = side_of(tile_of(attributes));
    return {1, 1, side, side, 1, 1};
}
std::vector<std::int64_t> tile_of_weights_gradient(const Attributes&) {
    return {1, 1, kWinogradTaps, kWinogradTaps};
}

std::vector<Sample> output_gradient_samples() {
    std::vector<Sample> samples;
    for (const std::int64_t tile : {2, 4})
        samples.push_back({{real({batch(), 18, 7, 8})}, {{"tile", tile}}});
    return samples;
}

std::vector<Sample> weights_gradient_samples() {
    std::vector<Sample> samples;
    for (const std::int64_t tile : {2, 4}) {
        const Dim side(side_of(tile));
        samples.push_back({{real({side, side, 3, 17})}, {{"tile", tile}}});
    }
    return samples;
}

}  // namespace

constexpr OpDef kWinogradOutputGradient{
    .name = "winograd_output_gradient",
    .doc = "A dy A^T of each tile of dy [N, O, y, x], to [N, tiles, m + 2, m + 2, tiles, O]",
    .family = OpFamily::tiles,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kAttributes,
    .infer = infer_output_gradient,
    .lower = lower_output_gradient,
    .samples = output_gradient_samples,
    .tile = tile_of_output_gradient,
};

constexpr OpDef kWinogradWeightsGradient{
    .name = "winograd_weights_gradient",
    .doc = "G^T z G of [m + 2, m + 2, C, O], to [O, C, 3, 3], computed in f64",
    .family = OpFamily::tiles,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kAttributes,
    .infer = infer_weights_gradient,
    .lower = lower_weights_gradient,
    .samples = weights_gradient_samples,
    .tile = tile_of_weights_gradient,
};

}  // namespace netc
