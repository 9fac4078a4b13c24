// reshape: the same elements in row-major order under another shape.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kReshapeAttributes[] = {
    {"shape", AttributeKind::shape, "shape of the result"},
};

// Dimensions of both sides with the same product, which become each other: [2, 6, B] to [4, 3, B] is
// 2, 6 to 4, 3 and B to B. Dimensions of 1 are in no block.
struct Block {
    std::vector<std::size_t> from, to;
};

std::vector<std::size_t> not_ones(const Shape& shape) {
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] != Dim(1)) result.push_back(i);
    }
    return result;
}

// As many blocks as possible. The products of both shapes are equal.
std::vector<Block> blocks_of(const Shape& from, const Shape& to) {
    const std::vector<std::size_t> left = not_ones(from);
    const std::vector<std::size_t> right = not_ones(to);
    std::vector<Block> blocks;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < left.size() && j < right.size()) {
        // The shortest runs from i and j with equal products.
        Block best;
        Dim left_product = 1;
        for (std::size_t a = i; a < left.size() && best.from.empty(); ++a) {
            left_product = left_product * from[left[a]];
            Dim right_product = 1;
            for (std::size_t b = j; b < right.size(); ++b) {
                right_product = right_product * to[right[b]];
                if (left_product != right_product) continue;
                best.from.assign(left.begin() + static_cast<std::ptrdiff_t>(i),
                                 left.begin() + static_cast<std::ptrdiff_t>(a + 1));
                best.to.assign(right.begin() + static_cast<std::ptrdiff_t>(j),
                               right.begin() + static_cast<std::ptrdiff_t>(b + 1));
                break;
            }
        }
        i += best.from.size();
        j += best.to.size();
        blocks.push_back(std::move(best));
    }
    return blocks;
}

// Strides are numbers, so the batch may only lead a block.
bool batch_behind(const Shape& shape, const std::vector<std::size_t>& dims) {
    for (std::size_t i = 1; i < dims.size(); ++i) {
        if (holds_batch(shape[dims[i]])) return true;
    }
    return false;
}

Result<Type> infer_reshape(const InferContext& context) {
    const Type& x = context.inputs[0];
    const Type y{x.dtype, context.attributes.get<Shape>("shape")};
    if (Status s = check_dims(y.shape); !s) return s.error();
    const Dim have = product(x.shape);
    const Dim want = product(y.shape);
    if (have != want) {
        return fact(fmt::format("{} has {} elements, {} has {}", x.to_string(), have.to_string(),
                                y.to_string(), want.to_string()));
    }
    for (const Block& block : blocks_of(x.shape, y.shape)) {
        if (batch_behind(x.shape, block.from) || batch_behind(y.shape, block.to)) {
            return not_yet(fmt::format("reshaping {} to {}, with the batch behind another "
                                       "dimension,",
                                       x.to_string(), y.to_string()));
        }
    }
    return y;
}

ScalarId lower_reshape(Lowering& lowering) {
    const Shape& from = lowering.input_type(0).shape;
    const Shape& to = lowering.output_type().shape;
    std::vector<Index> index(from.size(), Index(0));
    for (const Block& block : blocks_of(from, to)) {
        std::vector<Index> out;
        Shape dims;
        for (const std::size_t i : block.to) {
            out.push_back(lowering.out()[i]);
            dims.push_back(to[i]);
        }
        Index rest = linear_index(out, dims);
        for (std::size_t k = block.from.size(); k-- > 1;) {
            const std::int64_t dim = from[block.from[k]].value();
            index[block.from[k]] = floor_mod(rest, dim);
            rest = floor_div(rest, dim);
        }
        index[block.from[0]] = rest;
    }
    return lowering.read(0, std::move(index));
}

// No value where the batch would end up behind another dimension of its block.
Value lift_reshape(const Lift& lift) {
    Shape shape = lift.shape;
    shape.insert(shape.begin(), lift.steps);
    const Result<Value> lifted =
        lift.graph.try_make(OpId::reshape, {lift.inputs[0]}, {{"shape", shape}});
    return lifted ? *lifted : Value{};
}

std::vector<Sample> reshape_samples() {
    const auto sample = [](Shape from, Shape to) {
        return Sample{{real(std::move(from))}, {{"shape", std::move(to)}}};
    };
    const Dim b = batch();
    return {
        sample({b, 3, 5, 5}, {b, 75}),
        sample({b, 75}, {b, 3, 5, 5}),
        sample({b, 7, 4}, {b * Dim(7), 4}),
        sample({b * Dim(6), 5}, {b, 2, 3, 5}),
        sample({b * Dim(4), 3}, {b * Dim(2), 6}),
        sample({b, 1}, {b}),
        sample({b}, {1, b, 1}),
        sample({}, {1, 1}),
        sample({1}, {}),
        sample({4, 6}, {3, 8}),
        sample({2, 6, b}, {4, 3, b}),
    };
}

}  // namespace

constexpr OpDef kReshape{
    .name = "reshape",
    .doc = "the same elements, in row-major order, under another shape",
    .family = OpFamily::view,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kReshapeAttributes,
    .infer = infer_reshape,
    .grad = [](GradBuilder& g) { g.add(0, g.graph().reshape(g.dy(), g.x().type().shape)); },
    .lower = lower_reshape,
    .samples = reshape_samples,
    .lift = lift_reshape,
};

}  // namespace netc
