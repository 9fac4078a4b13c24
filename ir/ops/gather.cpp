// Rows by number: embedding tables and their gradients.
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

Status check_rows(const Type& table, const Type& ids) {
    if (table.rank() < 1) return fact("the table has no rows");
    if (!table.shape[0].is_static() && holds_batch(table.shape[0])) {
        return not_yet("a table whose rows are the batch");
    }
    if (ids.dtype != DType::i32 && ids.dtype != DType::i64) {
        return fact(fmt::format("row numbers are i32 or i64, not {}", name_of(ids.dtype)));
    }
    return {};
}

// Shape of the rows of `table` that `ids` name.
Shape rows_shape(const Type& table, const Type& ids) {
    Shape shape = ids.shape;
    shape.insert(shape.end(), table.shape.begin() + 1, table.shape.end());
    return shape;
}

Result<Type> infer_gather(const InferContext& context) {
    const Type& table = context.inputs[0];
    const Type& ids = context.inputs[1];
    if (Status s = check_rows(table, ids); !s) return s.error();
    return Type{table.dtype, rows_shape(table, ids)};
}

void grad_of_gather(GradBuilder& g) {
    if (!g.needs(0)) return;
    const Type table = g.x(0).type();
    const Value zero = g.graph().constant(0, table.dtype, table.shape);
    g.add(0, g.graph().make(OpId::scatter_add, {zero, g.x(1), g.dy()}, {{"scattered", false}}));
}

ScalarId lower_gather(Lowering& lowering) {
    const std::vector<Index>& out = lowering.out();
    const auto ids_rank = static_cast<std::ptrdiff_t>(lowering.input_type(1).rank());
    const ScalarId row = lowering.read(1, std::vector<Index>(out.begin(), out.begin() + ids_rank));
    std::vector<Index> index(out.begin() + ids_rank, out.end());
    index.insert(index.begin(), Index(0));
    return lowering.read_indirect(0, std::move(index), 0, row);
}

Result<Type> infer_scatter_add(const InferContext& context) {
    const Type& base = context.inputs[0];
    const Type& ids = context.inputs[1];
    const Type& x = context.inputs[2];
    if (Status s = check_dtype(number_dtype, base.dtype); !s) return s.error();
    if (Status s = check_rows(base, ids); !s) return s.error();
    const Type wanted{base.dtype, rows_shape(base, ids)};
    if (x != wanted) {
        return fact(fmt::format("{} is not {}", x.to_string(), wanted.to_string()));
    }
    return base;
}

void grad_of_scatter_add(GradBuilder& g) {
    if (g.needs(0)) g.add(0, g.dy());
    if (g.needs(2)) g.add(2, g.graph().make(OpId::gather, {g.dy(), g.x(1)}));
}

ScalarId lower_scatter_add(Lowering& lowering) {
    const std::vector<Index> out = lowering.out();
    const ScalarId base = lowering.read(0, out);
    std::vector<Index> place;
    for (const Dim& dim : lowering.input_type(1).shape) {
        place.push_back(lowering.reduced_axis(dim));
    }
    const ScalarId row = lowering.read(1, place);
    place.insert(place.end(), out.begin() + 1, out.end());
    return lowering.scatter(base, 0, row, lowering.read(2, std::move(place)));
}

std::vector<Sample> gather_samples() {
    return {
        {{real({11, 5}), ints({batch()})}, {}, -2, 2, 11},
        {{real({11, 5}), ints({batch(), 3})}, {}, -2, 2, 11},
        {{real({9}), ints({4})}, {}, -2, 2, 9},
        {{real({6, 2, 3}), Type{DType::i64, {batch()}}}, {}, -2, 2, 6},
    };
}

std::vector<Sample> scatter_samples() {
    return {
        {{real({11, 5}), ints({batch()}), real({batch(), 5})}, {{"scattered", false}}, -2, 2, 11},
        {{real({4, 5}), ints({batch(), 3}), real({batch(), 3, 5})},
         {{"scattered", false}},
         -2,
         2,
         4},
        {{real({9}), ints({40}), real({40})}, {{"scattered", false}}, -2, 2, 9},
        {{real({300, 20}), ints({batch(), 3}), real({batch(), 3, 20})},
         {{"scattered", true}},
         -2,
         2,
         300},
        {{real({4, 2, 3}), ints({batch()}), real({batch(), 2, 3})},
         {{"scattered", true}},
         -2,
         2,
         4},
        {{real({9}), ints({40}), real({40})}, {{"scattered", true}}, -2, 2, 9},
    };
}

constexpr AttributeSpec kScatterAttributes[] = {
    {"scattered", AttributeKind::boolean,
     "base is stored and x added to it in memory, row after row, rather than each row of the "
     "result compared with each number; a number out of range then raises the fault flag"}};

}  // namespace

constexpr OpDef kGather{
    .name = "gather",
    .doc = "rows of a table [R, ...] by their numbers [S...]: [S..., ...]; a number out of range "
           "gives "
           "NaN and raises the fault flag",
    .family = OpFamily::view,
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer_gather,
    .grad = grad_of_gather,
    .lower = lower_gather,
    .samples = gather_samples,
};

constexpr OpDef kScatterAdd{
    .name = "scatter_add",
    .doc =
        "base [R, ...] with x [S..., ...] added to the rows of these numbers [S...], in row-major "
        "order of S; a number out of range is dropped",
    .family = OpFamily::scatter,
    .min_inputs = 3,
    .max_inputs = 3,
    .attributes = kScatterAttributes,
    .infer = infer_scatter_add,
    .grad = grad_of_scatter_add,
    .lower = lower_scatter_add,
    .samples = scatter_samples,
};

}  // namespace netc
