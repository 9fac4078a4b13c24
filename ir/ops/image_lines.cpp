// Gradients towards the weights of a convolution, of images that lie as lines: a sum along memory.
//
// An image with its padding, rows end to end, is a line in which tap (i, j) is a shift by i rows and j places:
//
//     dw[o, c, i, j] = sum over n, p of line[n, c, p + i * pitch + j] * dy[n, o, p]
//
// where dy has rows of the same pitch, with zeros behind them, so that no term needs a condition. A stride of s makes
// lines of every s-th row and place, one for each phase of the taps. The factor that vectors of outputs run along lies
// in pairs [p / 2, O, 2], as instructions that multiply two numbers of 16 bits take them.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr std::int64_t kPair = 2;

constexpr AttributeSpec kStrideAttribute{"stride", AttributeKind::integers, "step per axis"};
constexpr AttributeSpec kDilationAttribute{"dilation", AttributeKind::integers,
                                           "distance of the kernel's taps, per axis"};
constexpr AttributeSpec kLinesAttributes[] = {
    kStrideAttribute,
    {"pad", AttributeKind::integers, "places before the image, per axis"},
    {"phases", AttributeKind::integers, "of the stride that taps use, per axis"},
    {"size", AttributeKind::integers, "rows of a line, and places of a row"}};
constexpr AttributeSpec kPairsAttributes[] = {
    {"pitch", AttributeKind::integer, "places of a row, those behind the image zero"}};
constexpr AttributeSpec kGradientAttributes[] = {
    kStrideAttribute,
    kDilationAttribute,
    {"size", AttributeKind::integers, "size of the kernel, per axis"}};

Status check_image(const Type& x) {
    if (Status s = check_dtype(float_dtype, x.dtype); !s) return s;
    if (x.rank() != 4) return fact(x.to_string() + " is no image [N, C, y, x]");
    return {};
}

Result<Type> infer_lines(const InferContext& context) {
    const Type& x = context.inputs[0];
    if (Status s = check_image(x); !s) return s.error();
    Type lines{x.dtype, {x.shape[0], x.shape[1]}};
    for (const char* name : {"stride", "pad", "phases", "size"}) {
        const auto& values = context.attributes.get<Integers>(name);
        if (Status s = check_integers(name, values, 2, name == std::string("pad") ? 0 : 1); !s)
            return s.error();
    }
    for (const char* name : {"phases", "size"}) {
        for (const std::int64_t value : context.attributes.get<Integers>(name))
            lines.shape.emplace_back(value);
    }
    return lines;
}

Result<Type> infer_pairs(const InferContext& context) {
    const Type& dy = context.inputs[0];
    const auto pitch = context.attributes.get<std::int64_t>("pitch");
    if (Status s = check_image(dy); !s) return s.error();
    if (!dy.shape[3].is_static() || pitch < dy.shape[3].value())
        return fact(fmt::format("rows of {} do not fit into {} places", dy.to_string(), pitch));
    const Dim places = dy.shape[2] * Dim(pitch);
    return Type{dy.dtype, {dy.shape[0], floor_div(places + Dim(1), kPair), dy.shape[1], kPair}};
}

Result<Type> infer_gradient(const InferContext& context) {
    const Type& lines = context.inputs[0];
    const Type& pairs = context.inputs[1];
    if (Status s = check_factors(lines.dtype, pairs.dtype); !s) return s.error();
    for (const char* name : {"stride", "dilation", "size"}) {
        if (Status s = check_integers(name, context.attributes.get<Integers>(name), 2, 1); !s)
            return s.error();
    }
    if (lines.rank() != 6 || pairs.rank() != 4 || pairs.shape[3] != Dim(kPair) ||
        lines.shape[0] != pairs.shape[0] || !pairs.shape[1].is_static()) {
        return fact(fmt::format("{} and {} are no lines and pairs of the same samples",
                                lines.to_string(), pairs.to_string()));
    }
    const auto& stride = context.attributes.get<Integers>("stride");
    const auto& dilation = context.attributes.get<Integers>("dilation");
    const auto& size = context.attributes.get<Integers>("size");
    const std::int64_t pitch = lines.shape[5].value();
    std::int64_t last = kPair * pairs.shape[1].value() - 1;
    for (std::size_t axis = 0; axis < 2; ++axis) {
        const std::int64_t reach = dilation[axis] * (size[axis] - 1);
        last += reach / stride[axis] * (axis == 0 ? pitch : 1);
        if (Dim(std::min(stride[axis], reach + 1)) != lines.shape[2 + axis])
            return fact(fmt::format("{} have not the phases of the taps", lines.to_string()));
    }
    if (lines.shape[4].value() * pitch <= last)
        return fact(fmt::format("{} end before place {}", lines.to_string(), last));
    return Type{sum_type(lines.dtype), {pairs.shape[2], lines.shape[1], size[0], size[1]}};
}

ScalarId lower_lines(Lowering& lowering) {
    const std::vector<Index> out = lowering.out();
    const auto& stride = lowering.attributes().get<Integers>("stride");
    const auto& pad = lowering.attributes().get<Integers>("pad");
    return lowering.read(0,
                         {out[0], out[1], out[4] * stride[0] + out[2] - pad[0],
                          out[5] * stride[1] + out[3] - pad[1]},
                         Outside::zero);
}

ScalarId lower_pairs(Lowering& lowering) {
    const std::vector<Index> out = lowering.out();
    const auto pitch = lowering.attributes().get<std::int64_t>("pitch");
    const Index place = out[1] * kPair + out[3];
    return lowering.read(0, {out[0], out[2], floor_div(place, pitch), floor_mod(place, pitch)},
                         Outside::zero);
}

ScalarId lower_gradient(Lowering& lowering) {
    const Shape& lines = lowering.input_type(0).shape;
    const Shape& pairs = lowering.input_type(1).shape;
    const auto& stride = lowering.attributes().get<Integers>("stride");
    const auto& dilation = lowering.attributes().get<Integers>("dilation");
    const std::int64_t pitch = lines[5].value();
    const std::vector<Index> out = lowering.out();
    const Index sample = lowering.reduced_axis(lines[0]);
    const Index place = lowering.reduced_axis(pairs[1] * Dim(kPair));
    const Index y = out[2] * dilation[0], x = out[3] * dilation[1];
    const Index there = place + floor_div(y, stride[0]) * pitch + floor_div(x, stride[1]);
    const ScalarId a =
        lowering.read(0, {sample, out[1], floor_mod(y, stride[0]), floor_mod(x, stride[1]),
                          floor_div(there, pitch), floor_mod(there, pitch)});
    const ScalarId b =
        lowering.read(1, {sample, floor_div(place, kPair), out[0], floor_mod(place, kPair)});
    return lowering.contract(a, b);
}

std::vector<Sample> lines_samples() {
    const auto sample = [](Integers stride, Integers pad, Integers phases, Integers size) {
        return Sample{{real({batch(), 17, 5, 7})},
                      {{"stride", std::move(stride)},
                       {"pad", std::move(pad)},
                       {"phases", std::move(phases)},
                       {"size", std::move(size)}}};
    };
    return {sample({1, 1}, {1, 1}, {1, 1}, {8, 8}), sample({1, 1}, {0, 0}, {1, 1}, {5, 7}),
            sample({2, 2}, {1, 1}, {2, 2}, {5, 5}), sample({2, 3}, {0, 2}, {1, 3}, {3, 4})};
}

std::vector<Sample> pairs_samples() {
    return {{{real({batch(), 18, 4, 7})}, {{"pitch", std::int64_t{8}}}},
            {{real({batch(), 3, 3, 5})}, {{"pitch", std::int64_t{5}}}},
            {{real({2, 33, 1, 1})}, {{"pitch", std::int64_t{3}}}}};
}

// Three by three taps, one tap at a stride, taps apart at a stride.
std::vector<Sample> gradient_samples() {
    const auto sample = [](Shape lines, Shape pairs, Integers stride, Integers dilation,
                           Integers size) {
        return Sample{{real(std::move(lines)), real(std::move(pairs))},
                      {{"stride", std::move(stride)},
                       {"dilation", std::move(dilation)},
                       {"size", std::move(size)}}};
    };
    const Dim b = batch();
    return {sample({b, 17, 1, 1, 8, 6}, {b, 15, 33, 2}, {1, 1}, {1, 1}, {3, 3}),
            sample({b, 5, 1, 1, 3, 4}, {b, 6, 18, 2}, {2, 2}, {1, 1}, {1, 1}),
            sample({3, 18, 2, 2, 6, 5}, {3, 10, 34, 2}, {2, 2}, {1, 2}, {3, 2})};
}

}  // namespace

constexpr OpDef kImageLines{
    .name = "image_lines",
    .doc = "x [N, C, y, x] with its padding in rows of the same length, to [N, C, phases.., rows, "
           "places], every stride-th row and place",
    .family = OpFamily::tiles,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kLinesAttributes,
    .infer = infer_lines,
    .lower = lower_lines,
    .samples = lines_samples,
};

constexpr OpDef kImagePairs{
    .name = "image_pairs",
    .doc = "dy [N, O, y, x] in rows of `pitch` places, two places side by side: [N, places / 2, O, "
           "2]",
    .family = OpFamily::tiles,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kPairsAttributes,
    .infer = infer_pairs,
    .lower = lower_pairs,
    .samples = pairs_samples,
};

constexpr OpDef kLineWeightGradient{
    .name = "line_weight_gradient",
    .doc = "the adjoint of conv_nd in w, of image_lines of x and image_pairs of dy",
    .family = OpFamily::contraction,
    .min_inputs = 2,
    .max_inputs = 2,
    .attributes = kGradientAttributes,
    .infer = infer_gradient,
    .lower = lower_gradient,
    .samples = gradient_samples,
};

}  // namespace netc
