// The typing rules of scalar operations.
#include <fmt/format.h>

#include "ir/scalar.h"

namespace netc {
namespace {

enum class Rule {
    leaf,
    numbers,
    floats,
    integers,
    comparison,
    logic,
    select,
    cast,
    bitcast,
    lookup,
    philox
};

Rule rule_of(ScalarOp op) {
    switch (op) {
        case ScalarOp::constant:
        case ScalarOp::read:
        case ScalarOp::state:
        case ScalarOp::other:
        case ScalarOp::index:
        case ScalarOp::batch: return Rule::leaf;
        case ScalarOp::neg:
        case ScalarOp::abs:
        case ScalarOp::add:
        case ScalarOp::mul:
        case ScalarOp::max:
        case ScalarOp::min: return Rule::numbers;
        case ScalarOp::div:
        case ScalarOp::sqrt:
        case ScalarOp::floor:
        case ScalarOp::fma:
        case ScalarOp::exp:
        case ScalarOp::expm1:
        case ScalarOp::log:
        case ScalarOp::log1p:
        case ScalarOp::sin:
        case ScalarOp::cos:
        case ScalarOp::tanh:
        case ScalarOp::erf:
        case ScalarOp::pow: return Rule::floats;
        case ScalarOp::bit_and:
        case ScalarOp::bit_or:
        case ScalarOp::bit_xor:
        case ScalarOp::shift_left:
        case ScalarOp::shift_right: return Rule::integers;
        case ScalarOp::equal:
        case ScalarOp::less:
        case ScalarOp::less_equal: return Rule::comparison;
        case ScalarOp::logical_and:
        case ScalarOp::logical_or:
        case ScalarOp::logical_not: return Rule::logic;
        case ScalarOp::select: return Rule::select;
        case ScalarOp::cast: return Rule::cast;
        case ScalarOp::bitcast: return Rule::bitcast;
        case ScalarOp::lookup: return Rule::lookup;
        case ScalarOp::philox: return Rule::philox;
    }
    return Rule::leaf;
}

}  // namespace

std::string type_error(const ScalarGraph& graph, ScalarId id) {
    const Scalar& scalar = graph[id];
    const std::string where = fmt::format("`{}` of {}", name_of(scalar.op), name_of(scalar.type));
    const auto count = static_cast<std::size_t>(arity_of(scalar.op));
    if (scalar.operands.size() != count) {
        return fmt::format("{} takes {} operands, has {}", where, count, scalar.operands.size());
    }
    for (ScalarId operand : scalar.operands) {
        if (operand >= id) return where + " reads a node that does not stand before it";
    }
    const auto type = [&](std::size_t k) { return graph.type(scalar.operands[k]); };
    // All operands from `first` on have the type of the result.
    const auto same = [&](std::size_t first) -> std::string {
        for (std::size_t k = first; k < count; ++k) {
            if (type(k) != scalar.type) {
                return fmt::format("{} has an operand of {}", where, name_of(type(k)));
            }
        }
        return "";
    };
    const auto wants = [&](bool condition, const char* what) {
        return condition ? "" : fmt::format("{} wants {}", where, what);
    };
    switch (rule_of(scalar.op)) {
        case Rule::leaf: return "";
        case Rule::numbers: return scalar.type == DType::b1 ? wants(false, "numbers") : same(0);
        case Rule::floats: return is_float(scalar.type) ? same(0) : wants(false, "floats");
        case Rule::integers: return is_int(scalar.type) ? same(0) : wants(false, "integers");
        case Rule::comparison:
            return wants(scalar.type == DType::b1 && type(0) == type(1),
                         "two operands of one type, and gives b1");
        case Rule::logic: return scalar.type == DType::b1 ? same(0) : wants(false, "b1");
        case Rule::select: return type(0) == DType::b1 ? same(1) : wants(false, "a condition");
        case Rule::cast: return "";
        case Rule::bitcast:
            return wants(size_of(scalar.type) == size_of(type(0)), "types of one size");
        case Rule::lookup: return wants(is_int(type(0)), "an integer position");
        case Rule::philox:
            return wants(scalar.type == DType::i32 && type(0) == DType::i64 &&
                             type(1) == DType::i64 && type(2) == DType::i64 &&
                             scalar.integer >= 0 && scalar.integer < 4,
                         "three i64 and a word 0 .. 3, and gives i32");
    }
    return "";
}

}  // namespace netc
