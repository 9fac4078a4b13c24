// Loops: `scan` runs a body of its function once for each step, `scan_result` is what it leaves. Neither
// has a lowering: a scan becomes a loop over the kernels of its body (passes/lower.cpp). Its gradient is
// a scan in the other direction (passes/differentiate_scan.cpp).
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kScanAttributes[] = {
    {"body", AttributeKind::integer, "number of the body in its function"},
    {"steps", AttributeKind::shape, "number of steps, as a shape of one entry"},
    {"sequences", AttributeKind::integer, "how many operands are sequences: the first ones"},
    {"carries", AttributeKind::integer, "how many operands behind them are initial carries"},
    {"reverse", AttributeKind::boolean, "begins with the last step"},
};
constexpr AttributeSpec kScanResultAttributes[] = {
    {"number", AttributeKind::integer, "of the body's result: its final carry, or its stack"},
    {"dtype", AttributeKind::dtype, "element type"},
    {"shape", AttributeKind::shape, "shape of the result"},
};

Result<Type> infer_scan(const InferContext& context) {
    const Shape& steps = context.attributes.get<Shape>("steps");
    const auto sequences = context.attributes.get<std::int64_t>("sequences");
    const auto carries = context.attributes.get<std::int64_t>("carries");
    if (steps.size() != 1) return fact("`steps` is one dimension");
    if (Status status = check_dims(steps); !status) return status.error();
    const auto count = static_cast<std::int64_t>(context.inputs.size());
    if (sequences < 0 || carries < 0 || sequences > count || carries > count - sequences) {
        return fact(fmt::format("{} sequences and {} carries are not {} operands", sequences,
                                carries, count));
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(sequences); ++i) {
        const Shape& shape = context.inputs[i].shape;
        if (shape.empty() || shape[0] != steps[0]) {
            return fact(fmt::format("{} has no {} slices", context.inputs[i].to_string(),
                                    steps[0].to_string()));
        }
    }
    return Type{DType::i64, {}};
}

Result<Type> infer_scan_result(const InferContext& context) {
    if (context.attributes.get<std::int64_t>("number") < 0) return fact("`number` is negative");
    const Type type{context.attributes.get<DType>("dtype"), context.attributes.get<Shape>("shape")};
    if (Status status = check_dims(type.shape); !status) return status.error();
    return type;
}

}  // namespace

constexpr OpDef kScan{
    .name = "scan",
    .doc =
        "runs a body once for each step; operands: sequences, of which it gets a slice a step, "
        "initial carries, and what is the same in all steps. Its value is only for `scan_result`",
    .family = OpFamily::loop,
    .min_inputs = 0,
    .max_inputs = -1,
    .attributes = kScanAttributes,
    .infer = infer_scan,
};

constexpr OpDef kScanResult{
    .name = "scan_result",
    .doc = "a final carry of a `scan`, or the stack of what its steps give",
    .family = OpFamily::loop,
    .min_inputs = 1,
    .max_inputs = 1,
    .attributes = kScanResultAttributes,
    .infer = infer_scan_result,
};

}  // namespace netc
