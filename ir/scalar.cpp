// Building scalar DAGs: hash-consing. What folds is in scalar_fold.cpp.
#include "ir/scalar.h"

#include <bit>
#include <utility>

namespace netc {
namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ (hash >> 29);
}

std::uint64_t hash_of(const Scalar& scalar) {
    std::uint64_t hash =
        mix(static_cast<std::uint64_t>(scalar.op), static_cast<std::uint64_t>(scalar.type) + 1);
    hash = mix(hash, std::bit_cast<std::uint64_t>(scalar.number));
    hash = mix(hash, static_cast<std::uint64_t>(scalar.integer));
    for (ScalarId operand : scalar.operands) hash = mix(hash, operand);
    return hash;
}

// Numbers are compared by their bits: 0 and -0 are two constants.
bool same(const Scalar& a, const Scalar& b) {
    return a.op == b.op && a.type == b.type && a.integer == b.integer &&
           std::bit_cast<std::uint64_t>(a.number) == std::bit_cast<std::uint64_t>(b.number) &&
           a.operands == b.operands;
}

bool is_comparison(ScalarOp op) {
    return op == ScalarOp::equal || op == ScalarOp::less || op == ScalarOp::less_equal;
}

}  // namespace

ScalarId ScalarGraph::add_node(Scalar scalar) {
    if (nodes_.size() * 2 >= slots_.size()) grow();
    std::size_t slot = hash_of(scalar) & (slots_.size() - 1);
    while (slots_[slot] != kNoScalar) {
        if (same(nodes_[slots_[slot]], scalar)) return slots_[slot];
        slot = (slot + 1) & (slots_.size() - 1);
    }
    const auto id = static_cast<ScalarId>(nodes_.size());
    slots_[slot] = id;
    nodes_.push_back(std::move(scalar));
    return id;
}

void ScalarGraph::grow() {
    const std::size_t size = slots_.empty() ? 64 : slots_.size() * 2;
    slots_.assign(size, kNoScalar);
    for (ScalarId id = 0; id < nodes_.size(); ++id) {
        std::size_t slot = hash_of(nodes_[id]) & (size - 1);
        while (slots_[slot] != kNoScalar) slot = (slot + 1) & (size - 1);
        slots_[slot] = id;
    }
}

ScalarId ScalarGraph::number(double value, DType type) {
    Scalar scalar{.op = ScalarOp::constant, .type = type, .operands = {}};
    scalar.number = type == DType::f64 ? value : static_cast<double>(static_cast<float>(value));
    return add_node(std::move(scalar));
}

ScalarId ScalarGraph::integer(std::int64_t value, DType type) {
    Scalar scalar{.op = ScalarOp::constant, .type = type, .operands = {}};
    scalar.integer = value;
    return add_node(std::move(scalar));
}

ScalarId ScalarGraph::unary(ScalarOp op, ScalarId a) {
    const DType type = op == ScalarOp::logical_not ? DType::b1 : nodes_[a].type;
    return fold({.op = op, .type = type, .operands = {a}});
}

ScalarId ScalarGraph::binary(ScalarOp op, ScalarId a, ScalarId b) {
    const DType type = is_comparison(op) ? DType::b1 : nodes_[a].type;
    return fold({.op = op, .type = type, .operands = {a, b}});
}

ScalarId ScalarGraph::fma(ScalarId a, ScalarId b, ScalarId c) {
    return fold({.op = ScalarOp::fma, .type = nodes_[a].type, .operands = {a, b, c}});
}

ScalarId ScalarGraph::select(ScalarId condition, ScalarId a, ScalarId b) {
    return fold({.op = ScalarOp::select, .type = nodes_[a].type, .operands = {condition, a, b}});
}

ScalarId ScalarGraph::cast(ScalarId a, DType type) {
    return fold({.op = ScalarOp::cast, .type = type, .operands = {a}});
}

ScalarId ScalarGraph::bitcast(ScalarId a, DType type) {
    return fold({.op = ScalarOp::bitcast, .type = type, .operands = {a}});
}

ScalarId ScalarGraph::state(std::int64_t k, DType type) {
    return add_node({.op = ScalarOp::state, .type = type, .operands = {}, .integer = k});
}

ScalarId ScalarGraph::other(std::int64_t k, DType type) {
    return add_node({.op = ScalarOp::other, .type = type, .operands = {}, .integer = k});
}

ScalarId ScalarGraph::philox(ScalarId key, ScalarId counter_low, ScalarId counter_high,
                             std::int64_t word) {
    return add_node({.op = ScalarOp::philox,
                     .type = DType::i32,
                     .operands = {key, counter_low, counter_high},
                     .integer = word});
}

const char* name_of(ScalarOp op) {
    switch (op) {
        case ScalarOp::constant: return "constant";
        case ScalarOp::read: return "read";
        case ScalarOp::state: return "state";
        case ScalarOp::other: return "other";
        case ScalarOp::index: return "index";
        case ScalarOp::batch: return "batch";
        case ScalarOp::neg: return "neg";
        case ScalarOp::abs: return "abs";
        case ScalarOp::add: return "add";
        case ScalarOp::mul: return "mul";
        case ScalarOp::div: return "div";
        case ScalarOp::max: return "max";
        case ScalarOp::min: return "min";
        case ScalarOp::sqrt: return "sqrt";
        case ScalarOp::floor: return "floor";
        case ScalarOp::fma: return "fma";
        case ScalarOp::exp: return "exp";
        case ScalarOp::expm1: return "expm1";
        case ScalarOp::log: return "log";
        case ScalarOp::log1p: return "log1p";
        case ScalarOp::sin: return "sin";
        case ScalarOp::cos: return "cos";
        case ScalarOp::tanh: return "tanh";
        case ScalarOp::erf: return "erf";
        case ScalarOp::pow: return "pow";
        case ScalarOp::equal: return "equal";
        case ScalarOp::less: return "less";
        case ScalarOp::less_equal: return "less_equal";
        case ScalarOp::logical_and: return "and";
        case ScalarOp::logical_or: return "or";
        case ScalarOp::logical_not: return "not";
        case ScalarOp::select: return "select";
        case ScalarOp::cast: return "cast";
        case ScalarOp::bit_and: return "bit_and";
        case ScalarOp::bit_or: return "bit_or";
        case ScalarOp::bit_xor: return "bit_xor";
        case ScalarOp::shift_left: return "shift_left";
        case ScalarOp::shift_right: return "shift_right";
        case ScalarOp::bitcast: return "bitcast";
        case ScalarOp::lookup: return "lookup";
        case ScalarOp::philox: return "philox";
    }
    return "?";
}

int arity_of(ScalarOp op) {
    switch (op) {
        case ScalarOp::constant:
        case ScalarOp::read:
        case ScalarOp::state:
        case ScalarOp::other:
        case ScalarOp::index:
        case ScalarOp::batch: return 0;
        case ScalarOp::neg:
        case ScalarOp::abs:
        case ScalarOp::sqrt:
        case ScalarOp::floor:
        case ScalarOp::exp:
        case ScalarOp::expm1:
        case ScalarOp::log:
        case ScalarOp::log1p:
        case ScalarOp::sin:
        case ScalarOp::cos:
        case ScalarOp::tanh:
        case ScalarOp::erf:
        case ScalarOp::logical_not:
        case ScalarOp::cast:
        case ScalarOp::bitcast:
        case ScalarOp::lookup: return 1;
        case ScalarOp::add:
        case ScalarOp::mul:
        case ScalarOp::div:
        case ScalarOp::max:
        case ScalarOp::min:
        case ScalarOp::pow:
        case ScalarOp::equal:
        case ScalarOp::less:
        case ScalarOp::less_equal:
        case ScalarOp::logical_and:
        case ScalarOp::logical_or:
        case ScalarOp::bit_and:
        case ScalarOp::bit_or:
        case ScalarOp::bit_xor:
        case ScalarOp::shift_left:
        case ScalarOp::shift_right: return 2;
        case ScalarOp::fma:
        case ScalarOp::select:
        case ScalarOp::philox: return 3;
    }
    return 0;
}

}  // namespace netc
