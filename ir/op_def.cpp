// The table of operators and what is derived from it without further knowledge.
#include "ir/op_def.h"

#include <array>

#include <fmt/format.h>

#include "ir/ops/common.h"

namespace netc {
namespace {

constexpr std::array kRecords{
#define NETC_OP(name, record) &record,
#include "ir/ops.def"
#undef NETC_OP
};

constexpr std::array kOps{
#define NETC_OP(name, record) OpId::name,
#include "ir/ops.def"
#undef NETC_OP
};
static_assert(kOps.size() == kRecords.size());

Error misuse(std::string message) { return Error{kExitInternal, std::move(message)}; }

Status check_attributes(const OpDef& def, const Attributes& attributes) {
    for (const AttributeSpec& spec : def.attributes) {
        const AttributeValue* value = attributes.find(spec.name);
        if (value == nullptr) return misuse(fmt::format("needs the attribute `{}`", spec.name));
        if (kind_of(*value) != spec.kind) {
            return misuse(fmt::format("attribute `{}` is {}, not {}", spec.name, name_of(spec.kind),
                                      name_of(kind_of(*value))));
        }
    }
    for (const auto& [name, value] : attributes.all()) {
        bool known = false;
        for (const AttributeSpec& spec : def.attributes) known = known || spec.name == name;
        if (!known) return misuse(fmt::format("has no attribute `{}`", name));
    }
    return {};
}

Result<Type> infer_checked(const OpDef& def, const std::vector<Type>& inputs,
                           const Attributes& attributes) {
    const auto count = static_cast<int>(inputs.size());
    if (count < def.min_inputs || (def.max_inputs >= 0 && count > def.max_inputs)) {
        return misuse(fmt::format("has {} operands", count));
    }
    const Status status = check_attributes(def, attributes);
    if (!status) return status.error();
    return def.infer(InferContext{inputs, attributes});
}

}  // namespace

const OpDef& op_def(OpId op) { return *kRecords[static_cast<std::size_t>(op)]; }

std::span<const OpId> all_ops() { return kOps; }

std::optional<OpId> find_op(std::string_view name) {
    for (const OpId op : kOps) {
        if (op_def(op).name == name) return op;
    }
    return std::nullopt;
}

std::string_view name_of(OpId op) { return op_def(op).name; }

std::string_view name_of(AttributeKind kind) {
    switch (kind) {
        case AttributeKind::boolean: return "boolean";
        case AttributeKind::integer: return "integer";
        case AttributeKind::number: return "number";
        case AttributeKind::text: return "text";
        case AttributeKind::dtype: return "dtype";
        case AttributeKind::integers: return "integers";
        case AttributeKind::numbers: return "numbers";
        case AttributeKind::shape: return "shape";
    }
    return "?";
}

AttributeKind kind_of(const AttributeValue& value) {
    struct Kinds {
        AttributeKind operator()(bool) const { return AttributeKind::boolean; }
        AttributeKind operator()(std::int64_t) const { return AttributeKind::integer; }
        AttributeKind operator()(double) const { return AttributeKind::number; }
        AttributeKind operator()(const std::string&) const { return AttributeKind::text; }
        AttributeKind operator()(DType) const { return AttributeKind::dtype; }
        AttributeKind operator()(const std::vector<std::int64_t>&) const {
            return AttributeKind::integers;
        }
        AttributeKind operator()(const std::vector<double>&) const {
            return AttributeKind::numbers;
        }
        AttributeKind operator()(const Shape&) const { return AttributeKind::shape; }
    };
    return std::visit(Kinds{}, value);
}

Result<Type> infer_type(OpId op, const std::vector<Type>& inputs, const Attributes& attributes) {
    const OpDef& def = op_def(op);
    Result<Type> type = infer_checked(def, inputs, attributes);
    if (!type) type.error().message = fmt::format("{}: {}", def.name, type.error().message);
    return type;
}

ScalarId Lowering::sum(ScalarId term) {
    ScalarGraph& s = scalars();
    const DType type = s.type(term);
    const ScalarId state = s.state(0, type);
    return reduce({{type, 0.0}}, {s.binary(ScalarOp::add, state, term)},
                  {s.binary(ScalarOp::add, state, s.other(0, type))})[0];
}

ScalarId Lowering::product(ScalarId a, ScalarId b) {
    ScalarGraph& s = scalars();
    const DType type = sum_type(s.type(a));
    return s.binary(ScalarOp::mul, s.cast(a, type), s.cast(b, type));
}

ScalarId Lowering::contract(ScalarId a, ScalarId b) {
    ScalarGraph& s = scalars();
    const DType type = sum_type(s.type(a));
    const ScalarId state = s.state(0, type);
    const ScalarId next = is_float(type) ? s.fma(s.cast(a, type), s.cast(b, type), state)
                                         : s.binary(ScalarOp::add, state, product(a, b));
    return reduce({{type, 0.0}}, {next}, {s.binary(ScalarOp::add, state, s.other(0, type))})[0];
}

ScalarId Lowering::scatter(ScalarId base, std::int32_t dim, ScalarId position, ScalarId value) {
    ScalarGraph& s = scalars();
    const DType type = s.type(value);
    const ScalarId row = number_of(out()[static_cast<std::size_t>(dim)], s.type(position));
    const ScalarId state = s.state(0, type);
    const ScalarId added = s.binary(ScalarOp::add, state, value);
    const ScalarId here = s.binary(ScalarOp::equal, position, row);
    const ScalarId total = reduce({{type, 0.0}}, {s.select(here, added, state)},
                                  {s.binary(ScalarOp::add, state, s.other(0, type))})[0];
    return s.binary(ScalarOp::add, base, total);
}

}  // namespace netc
