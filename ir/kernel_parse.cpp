// Kernels as text: reading what kernel_text.cpp prints, or what a person wrote with names of their own.
#include "ir/kernel_parser.h"

namespace netc {
namespace {

std::optional<ScalarOp> find_function(const std::string& word) {
    for (int number = 0; number <= static_cast<int>(ScalarOp::philox); ++number) {
        const auto op = static_cast<ScalarOp>(number);
        if (word == name_of(op) && arity_of(op) > 0) return op;
    }
    return std::nullopt;
}

bool is_predicate(ScalarOp op) {
    return op == ScalarOp::equal || op == ScalarOp::less || op == ScalarOp::less_equal ||
           op == ScalarOp::logical_and || op == ScalarOp::logical_or || op == ScalarOp::logical_not;
}

}  // namespace

// product { + product | - product }
ScalarId KernelParser::value() {
    ScalarId result = product();
    while (!failed_ && (at("+") || at("-"))) {
        const bool plus = at("+");
        lexer_.next();
        ScalarId right = product();
        if (!plus) right = node(ScalarOp::neg, {right}, type_of(right));
        result = node(ScalarOp::add, {result, right}, type_of(result));
    }
    return result;
}

// atom { * atom | / atom }
ScalarId KernelParser::product() {
    ScalarId result = atom();
    while (!failed_ && (at("*") || at("/"))) {
        const ScalarOp op = at("*") ? ScalarOp::mul : ScalarOp::div;
        lexer_.next();
        result = node(op, {result, atom()}, type_of(result));
    }
    return result;
}

ScalarId KernelParser::atom() {
    if (failed_) return 0;
    if (accept("(")) {
        const ScalarId result = value();
        expect(")");
        return result;
    }
    if (!lexer_.is_name() || at("inf") || at("nan")) return constant();
    const std::string word = name("a value");
    if (word == "B") return node(ScalarOp::batch, {}, DType::i64);
    if (word == "true" || word == "false") {
        return kernel_.scalars.integer(word == "true", DType::b1);
    }
    if (at("(")) return function(word);
    if (at("[")) return read(word);
    if (const auto found = values_.find(word); found != values_.end()) return found->second;
    if (const auto found = state_named(word)) return *found;
    fail("no value `" + word + "`");
    return 0;
}

// 1.5, -inf, 2.5:f64, 3:i64
ScalarId KernelParser::constant() {
    const std::string sign = at("-") ? "-" : "";
    if (!sign.empty()) lexer_.next();
    const std::string digits = sign + lexer_.word();
    if (!lexer_.is_number() && !at("inf") && !at("nan")) fail("a value", lexer_.word());
    const double number = floating();
    const DType type = accept(":") ? dtype() : DType::f32;
    if (failed_) return 0;
    if (is_float(type)) return kernel_.scalars.number(sign.empty() ? number : -number, type);
    std::int64_t integer = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), integer);
    if (result.ec != std::errc() || result.ptr != digits.data() + digits.size()) {
        fail("an integer", digits);
    }
    return kernel_.scalars.integer(integer, type);
}

// s0, and s0' for the right side of a merge
std::optional<ScalarId> KernelParser::state_named(const std::string& word) {
    for (std::size_t k = 0; k < states_.size(); ++k) {
        const std::string own = "s" + std::to_string(k);
        const auto number = static_cast<std::int64_t>(k);
        if (word == own) return kernel_.scalars.state(number, states_[k]);
        if (word == own + "'") return kernel_.scalars.other(number, states_[k]);
    }
    return std::nullopt;
}

ScalarId KernelParser::read(const std::string& word) {
    const auto found = buffers_.find(word);
    if (found == buffers_.end()) return fail("no buffer `" + word + "`"), 0;
    Read read;
    read.source = found->second;
    list("[", "]", [&] {
        if (!accept("at")) return read.index.push_back(index());
        read.indirect = static_cast<std::int32_t>(read.index.size());
        read.index.emplace_back();
        expect("(");
        read.position = value();
        expect(")");
    });
    return add_read(std::move(read));
}

ScalarId KernelParser::add_read(Read read) {
    std::size_t number = 0;
    while (number < kernel_.reads.size() && kernel_.reads[number] != read) ++number;
    const DType type = read.source.kind == Buffer::Kind::param
                           ? kernel_.params[read.source.index].dtype
                           : kernel_.locals[read.source.index].dtype;
    if (number == kernel_.reads.size()) kernel_.reads.push_back(std::move(read));
    return kernel_.scalars.add_node({.op = ScalarOp::read,
                                     .type = type,
                                     .operands = {},
                                     .integer = static_cast<std::int64_t>(number)});
}

ScalarId KernelParser::function(const std::string& word) {
    expect("(");
    ScalarId result = 0;
    if (word == "padded") {
        const ScalarId plain = read(name("a buffer"));
        if (failed_) return 0;
        Read read = kernel_.reads[static_cast<std::size_t>(kernel_.scalars[plain].integer)];
        read.outside = Outside::zero;
        result = add_read(std::move(read));
    } else if (word == "index") {
        const Index position = index();
        expect(",");
        const DType type = dtype();
        std::size_t number = 0;
        while (number < kernel_.indices.size() && kernel_.indices[number] != position) ++number;
        if (number == kernel_.indices.size()) kernel_.indices.push_back(position);
        result = kernel_.scalars.add_node({.op = ScalarOp::index,
                                           .type = type,
                                           .operands = {},
                                           .integer = static_cast<std::int64_t>(number)});
    } else if (word == "lookup") {
        const auto table = tables_.find(name("a table"));
        if (table == tables_.end()) fail("there is no such table");
        expect(",");
        const ScalarId position = value();
        expect(",");
        const DType type = dtype();
        if (failed_) return 0;
        result = kernel_.scalars.add_node({.op = ScalarOp::lookup,
                                           .type = type,
                                           .operands = {position},
                                           .integer = table->second});
    } else if (const std::optional<ScalarOp> op = find_function(word)) {
        result = call(*op);
    } else {
        fail("no function `" + word + "`");
    }
    expect(")");
    return result;
}

ScalarId KernelParser::call(ScalarOp op) {
    Scalar scalar{.op = op, .type = DType::f32, .operands = {}};
    for (int k = 0; k < arity_of(op) && !failed_; ++k) {
        if (k > 0) expect(",");
        scalar.operands.push_back(value());
    }
    if (failed_) return 0;
    scalar.type = type_of(scalar.operands[0]);
    if (op == ScalarOp::select) scalar.type = type_of(scalar.operands[1]);
    if (is_predicate(op)) scalar.type = DType::b1;
    if (op == ScalarOp::cast || op == ScalarOp::bitcast) {
        expect(",");
        scalar.type = dtype();
    }
    if (op == ScalarOp::philox) {
        expect(",");
        scalar.type = DType::i32;
        scalar.integer = integer();
    }
    return kernel_.scalars.add_node(std::move(scalar));
}

Result<Kernel> parse_kernel(std::string_view text) { return KernelParser(text).parse(); }

}  // namespace netc
