// Random numbers: Philox 4x32-10. A number is a function of the seed, the operator's stream, the step
// and the element's row-major number alone: the same on every backend, for any layout and thread
// count. Element i takes word i mod 4 of the block with counter (i / 4, step).
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kRandomAttributes[] = {
    {"stream", AttributeKind::integer, "key of this operator: hash of its instance and ordinals"},
    {"dtype", AttributeKind::dtype, "element type"},
    {"shape", AttributeKind::shape, "shape of the result"},
};

constexpr double kTwoPi = 6.283185307179586;

Result<Type> infer_random(const InferContext& context) {
    for (const Type& type : context.inputs) {
        if (type != Type{DType::i64, {}}) {
            return fact(fmt::format("seed and step are i64[], not {}", type.to_string()));
        }
    }
    const Type type{context.attributes.get<DType>("dtype"), context.attributes.get<Shape>("shape")};
    if (Status s = check_dtype(float_dtype, type.dtype); !s) return s.error();
    if (Status s = check_dims(type.shape); !s) return s.error();
    if (Status s = check_linear(type.shape); !s) return s.error();
    return type;
}

// The four words of the block that the element lies in.
struct Block {
    ScalarId words[4];
};

Block block_of(Lowering& lowering, const Index& element) {
    ScalarGraph& s = lowering.scalars();
    const ScalarId stream = s.integer(lowering.attributes().get<std::int64_t>("stream"));
    const ScalarId key = s.binary(ScalarOp::bit_xor, lowering.read(0, {}), stream);
    const ScalarId low = lowering.number_of(floor_div(element, 4), DType::i64);
    const ScalarId high = lowering.read(1, {});
    Block block{};
    for (std::int64_t word = 0; word < 4; ++word) {
        block.words[word] = s.philox(key, low, high, word);
    }
    return block;
}

ScalarId is_at(Lowering& lowering, const Index& place, std::int64_t value) {
    ScalarGraph& s = lowering.scalars();
    return s.binary(ScalarOp::equal, lowering.number_of(place, DType::i32),
                    s.integer(value, DType::i32));
}

// The upper 24 bits as a number in 0 .. 2^24 - 1, exact.
ScalarId upper_bits(ScalarGraph& s, ScalarId word, DType type) {
    const ScalarId bits = s.binary(ScalarOp::shift_right, word, s.integer(8, DType::i32));
    return s.cast(bits, type);
}

ScalarId lower_uniform(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const Type& type = lowering.output_type();
    const Index element = linear_index(lowering.out(), type.shape);
    const Block block = block_of(lowering, element);
    ScalarId word = block.words[3];
    for (std::int64_t k = 3; k-- > 0;) {
        word = s.select(is_at(lowering, floor_mod(element, 4), k), block.words[k], word);
    }
    return s.binary(ScalarOp::mul, upper_bits(s, word, type.dtype), s.number(0x1p-24, type.dtype));
}

// Box-Muller on pairs of elements: the even one takes the cosine, the odd one the sine.
ScalarId lower_normal(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const Type& type = lowering.output_type();
    const DType dtype = type.dtype;
    const Index element = linear_index(lowering.out(), type.shape);
    const Block block = block_of(lowering, element);
    const ScalarId first_pair = is_at(lowering, floor_mod(floor_div(element, 2), 2), 0);
    const ScalarId word0 = s.select(first_pair, block.words[0], block.words[2]);
    const ScalarId word1 = s.select(first_pair, block.words[1], block.words[3]);
    const ScalarId unit = s.number(0x1p-24, dtype);
    // In (0, 1], so that the logarithm is finite.
    const ScalarId above_zero =
        s.binary(ScalarOp::add, upper_bits(s, word0, dtype), s.number(1, dtype));
    const ScalarId u1 = s.binary(ScalarOp::mul, above_zero, unit);
    const ScalarId u2 = s.binary(ScalarOp::mul, upper_bits(s, word1, dtype), unit);
    const ScalarId radius = s.unary(
        ScalarOp::sqrt, s.binary(ScalarOp::mul, s.number(-2, dtype), s.unary(ScalarOp::log, u1)));
    const ScalarId angle = s.binary(ScalarOp::mul, s.number(kTwoPi, dtype), u2);
    const ScalarId even = is_at(lowering, floor_mod(element, 2), 0);
    const ScalarId turn =
        s.select(even, s.unary(ScalarOp::cos, angle), s.unary(ScalarOp::sin, angle));
    return s.binary(ScalarOp::mul, radius, turn);
}

std::vector<Sample> random_samples() {
    std::vector<Sample> samples;
    const Type number{DType::i64, {}};
    for (const Shape& shape : {Shape{batch(), 7}, Shape{33}, Shape{batch(), 3, 5}, Shape{}}) {
        samples.push_back(
            {{number, number},
             {{"stream", std::int64_t{0x123456789abcdef}}, {"dtype", DType::f32}, {"shape", shape}},
             -2,
             2,
             1000});
    }
    return samples;
}

}  // namespace

constexpr OpDef kRandomUniform{
    .name = "random_uniform",
    .doc = "uniform on [0, 1), multiples of 2^-24; operands: seed and step, i64[]",
    .family = OpFamily::random,
    .min_inputs = 2,
    .max_inputs = 2,
    .attributes = kRandomAttributes,
    .infer = infer_random,
    .lower = lower_uniform,
    .samples = random_samples,
};

constexpr OpDef kRandomNormal{
    .name = "random_normal",
    .doc =
        "standard normal distribution, by the method of Box and Muller; operands: seed and step, "
        "i64[]",
    .family = OpFamily::random,
    .min_inputs = 2,
    .max_inputs = 2,
    .attributes = kRandomAttributes,
    .infer = infer_random,
    .lower = lower_normal,
    .samples = random_samples,
};

}  // namespace netc
