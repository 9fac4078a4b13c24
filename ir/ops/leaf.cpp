// Leaves: what a function reads, and constants. input, variable and hyper are buffers and have no
// lowering; the others are computed where they are read.
#include <utility>

#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr std::int64_t kMaxTensorElements = 1024;

constexpr AttributeSpec kDTypeAttribute{"dtype", AttributeKind::dtype, "element type"};
constexpr AttributeSpec kShapeAttribute{"shape", AttributeKind::shape, "shape of the result"};

constexpr AttributeSpec kIndexAttributes[] = {
    {"index", AttributeKind::integer, "number of the input or variable"},
    kDTypeAttribute,
    kShapeAttribute,
};
constexpr AttributeSpec kHyperAttributes[] = {
    {"name", AttributeKind::text, "seed, step, rate or steps_per_epoch"},
    kDTypeAttribute,
};
constexpr AttributeSpec kConstantAttributes[] = {
    {"value", AttributeKind::number, "value of every element"},
    kDTypeAttribute,
    kShapeAttribute,
};
constexpr AttributeSpec kTensorAttributes[] = {
    {"values", AttributeKind::numbers, "all elements, row-major"},
    kDTypeAttribute,
    kShapeAttribute,
};
constexpr AttributeSpec kIotaAttributes[] = {
    {"axis", AttributeKind::integer, "axis along which the elements count"},
    kDTypeAttribute,
    kShapeAttribute,
};
constexpr AttributeSpec kExtentAttributes[] = {
    {"dim", AttributeKind::shape, "the dimension, as a shape of one entry"},
    kDTypeAttribute,
};

Result<Type> infer_as_said(const InferContext& context) {
    const Type type{context.attributes.get<DType>("dtype"), context.attributes.get<Shape>("shape")};
    if (Status status = check_dims(type.shape); !status) return status.error();
    return type;
}

Result<Type> infer_rank_0(const InferContext& context) {
    return Type{context.attributes.get<DType>("dtype"), {}};
}

Result<Type> infer_tensor(const InferContext& context) {
    Result<Type> type = infer_as_said(context);
    if (!type) return type;
    const Dim count = product(type->shape);
    const auto given =
        static_cast<std::int64_t>(context.attributes.get<std::vector<double>>("values").size());
    if (count != Dim(given)) {
        return fact(fmt::format("{} values are not {}", given, type->to_string()));
    }
    if (given > kMaxTensorElements) {
        return not_yet(fmt::format("a constant of {} different values", given));
    }
    return type;
}

Result<Type> infer_iota(const InferContext& context) {
    Result<Type> type = infer_as_said(context);
    if (!type) return type;
    if (Status status = check_axes({context.attributes.get<std::int64_t>("axis")}, type->rank());
        !status) {
        return status.error();
    }
    if (Status status = check_dtype(number_dtype, type->dtype); !status) return status.error();
    return type;
}

Result<Type> infer_extent(const InferContext& context) {
    if (context.attributes.get<Shape>("dim").size() != 1) return fact("`dim` is one dimension");
    return infer_rank_0(context);
}

ScalarId lower_constant(Lowering& lowering) {
    return scalar_constant(lowering.scalars(), lowering.attributes().get<double>("value"),
                           lowering.output_type().dtype);
}

// A balanced tree of choices by the row-major number of the element.
ScalarId choose(Lowering& lowering, ScalarId number, const std::vector<double>& values,
                std::size_t begin, std::size_t end) {
    ScalarGraph& s = lowering.scalars();
    if (end - begin == 1) {
        return scalar_constant(s, values[begin], lowering.output_type().dtype);
    }
    const std::size_t middle = begin + (end - begin) / 2;
    const ScalarId before =
        s.binary(ScalarOp::less, number, s.integer(static_cast<std::int64_t>(middle), DType::i32));
    const ScalarId low = choose(lowering, number, values, begin, middle);
    return s.select(before, low, choose(lowering, number, values, middle, end));
}

ScalarId lower_tensor(Lowering& lowering) {
    const auto& values = lowering.attributes().get<std::vector<double>>("values");
    const Index place = linear_index(lowering.out(), lowering.output_type().shape);
    return choose(lowering, lowering.number_of(place, DType::i32), values, 0, values.size());
}

ScalarId lower_iota(Lowering& lowering) {
    const auto axis = static_cast<std::size_t>(lowering.attributes().get<std::int64_t>("axis"));
    const DType type = lowering.output_type().dtype;
    if (type == DType::i64 || type == DType::i32) {
        return lowering.number_of(lowering.out()[axis], type);
    }
    return lowering.scalars().cast(lowering.number_of(lowering.out()[axis], DType::i64), type);
}

ScalarId lower_extent(Lowering& lowering) {
    ScalarGraph& s = lowering.scalars();
    const Extent extent = extent_of(lowering.attributes().get<Shape>("dim")[0]);
    ScalarId value = s.integer(extent.constant);
    if (!extent.is_static()) {
        Scalar batch_size;
        batch_size.op = ScalarOp::batch;
        batch_size.type = DType::i64;
        const ScalarId scaled =
            s.binary(ScalarOp::mul, s.add_node(std::move(batch_size)), s.integer(extent.per_batch));
        value = s.binary(ScalarOp::add, scaled, value);
    }
    const DType type = lowering.output_type().dtype;
    return type == DType::i64 ? value : s.cast(value, type);
}

std::vector<Sample> constant_samples() {
    return {
        {{}, {{"value", 1.5}, {"dtype", DType::f32}, {"shape", Shape{}}}},
        {{}, {{"value", -0.1}, {"dtype", DType::f32}, {"shape", Shape{batch(), 3}}}},
        {{}, {{"value", 7.0}, {"dtype", DType::i32}, {"shape", Shape{17}}}},
        {{}, {{"value", 1.0}, {"dtype", DType::b1}, {"shape", Shape{2}}}},
    };
}

std::vector<Sample> tensor_samples() {
    return {
        {{}, {{"values", std::vector<double>{3}}, {"dtype", DType::f32}, {"shape", Shape{}}}},
        {{},
         {{"values", std::vector<double>{1, -2, 0.5, 4, 5, 6}},
          {"dtype", DType::f32},
          {"shape", Shape{2, 3}}}},
        {{},
         {{"values", std::vector<double>{5, 4, 3, 2, 1}},
          {"dtype", DType::i32},
          {"shape", Shape{5}}}},
    };
}

std::vector<Sample> iota_samples() {
    return {
        {{}, {{"axis", std::int64_t{0}}, {"dtype", DType::i32}, {"shape", Shape{17}}}},
        {{}, {{"axis", std::int64_t{1}}, {"dtype", DType::f32}, {"shape", Shape{batch(), 5}}}},
        {{}, {{"axis", std::int64_t{0}}, {"dtype", DType::i64}, {"shape", Shape{batch(), 5}}}},
    };
}

std::vector<Sample> extent_samples() {
    return {
        {{}, {{"dim", Shape{batch()}}, {"dtype", DType::f32}}},
        {{}, {{"dim", Shape{batch() * Dim(6) + Dim(1)}}, {"dtype", DType::i64}}},
    };
}

}  // namespace

constexpr OpDef kInput{
    .name = "input",
    .doc = "the function's input with this number",
    .family = OpFamily::leaf,
    .attributes = kIndexAttributes,
    .infer = infer_as_said,
};

constexpr OpDef kVariable{
    .name = "variable",
    .doc = "the module's variable with this number, as it was when the function was called",
    .family = OpFamily::leaf,
    .attributes = kIndexAttributes,
    .infer = infer_as_said,
};

constexpr OpDef kHyper{
    .name = "hyper",
    .doc = "a setting of the run, rank 0",
    .family = OpFamily::leaf,
    .attributes = kHyperAttributes,
    .infer = infer_rank_0,
};

constexpr OpDef kConstant{
    .name = "constant",
    .doc = "the same value everywhere",
    .family = OpFamily::leaf,
    .attributes = kConstantAttributes,
    .infer = infer_as_said,
    .lower = lower_constant,
    .samples = constant_samples,
};

constexpr OpDef kTensor{
    .name = "tensor",
    .doc = "a small constant tensor, at most 1024 elements",
    .family = OpFamily::leaf,
    .attributes = kTensorAttributes,
    .infer = infer_tensor,
    .lower = lower_tensor,
    .samples = tensor_samples,
};

constexpr OpDef kIota{
    .name = "iota",
    .doc = "each element's index along one axis",
    .family = OpFamily::leaf,
    .attributes = kIotaAttributes,
    .infer = infer_iota,
    .lower = lower_iota,
    .samples = iota_samples,
};

constexpr OpDef kExtent{
    .name = "extent",
    .doc = "a dimension as a number, rank 0",
    .family = OpFamily::leaf,
    .attributes = kExtentAttributes,
    .infer = infer_extent,
    .lower = lower_extent,
    .samples = extent_samples,
};

}  // namespace netc
