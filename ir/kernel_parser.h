// The parser of kernel text: declarations, stages and indices. Scalar values are in kernel_parse.cpp.
// Private to it.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>

#include "ir/kernel.h"
#include "ir/kernel_lexer.h"

namespace netc {

class KernelParser {
public:
    explicit KernelParser(std::string_view text) : lexer_(text) {}

    Result<Kernel> parse() {
        expect("kernel");
        expect("{");
        while (!failed_ && !at("}")) declaration();
        expect("}");
        if (!failed_ && !lexer_.word().empty()) fail("the end of the text", lexer_.word());
        if (failed_) return error_;
        return std::move(kernel_);
    }

private:
    // Errors: the first one stays, and makes everything after it end soon.
    void fail(const std::string& message) {
        if (failed_) return;
        failed_ = true;
        error_ =
            Error{.status = kExitInternal,
                  .message = "kernel text, line " + std::to_string(lexer_.line()) + ": " + message};
    }
    void fail(const std::string& expected, const std::string& found) {
        fail("expected " + expected + ", found `" + found + "`");
    }
    bool at(std::string_view word) const { return lexer_.word() == word; }
    bool accept(std::string_view word) {
        if (failed_ || !at(word)) return false;
        lexer_.next();
        return true;
    }
    void expect(std::string_view word) {
        if (!failed_ && !accept(word)) fail("`" + std::string(word) + "`", lexer_.word());
    }
    std::string name(const char* what) {
        if (!lexer_.is_name()) fail(what, lexer_.word());
        std::string word = lexer_.word();
        if (!failed_) lexer_.next();
        return word;
    }
    std::int64_t integer() {
        const bool negative = accept("-");
        std::int64_t value = 0;
        const std::string& word = lexer_.word();
        const auto result = std::from_chars(word.data(), word.data() + word.size(), value);
        if (result.ec != std::errc() || result.ptr != word.data() + word.size()) {
            fail("an integer", word);
        }
        if (!failed_) lexer_.next();
        return negative ? -value : value;
    }
    double floating() {
        const bool negative = accept("-");
        double value = 0;
        if (accept("inf")) {
            value = std::numeric_limits<double>::infinity();
        } else if (accept("nan")) {
            value = std::numeric_limits<double>::quiet_NaN();
        } else if (lexer_.is_number()) {
            value = std::strtod(lexer_.word().c_str(), nullptr);
            lexer_.next();
        } else {
            fail("a number", lexer_.word());
        }
        return negative ? -value : value;
    }
    DType dtype() {
        const std::string word = name("a type");
        const std::optional<DType> type = parse_dtype(word);
        if (!type) fail("a type", word);
        return type.value_or(DType::f32);
    }
    template <class Function>
    void list(std::string_view open, std::string_view close, Function item) {
        expect(open);
        if (accept(close)) return;
        do item();
        while (accept(","));
        expect(close);
    }

    // 28, B, 2*B + 1
    Extent extent() {
        Extent result = extent_term();
        while (!failed_ && (at("+") || at("-"))) {
            const std::int64_t sign = accept("+") ? 1 : (lexer_.next(), -1);
            result = result + extent_term() * sign;
        }
        return result;
    }
    Extent extent_term() {
        if (accept("B")) return {1, 0};
        if (accept("-")) return extent_term() * -1;
        const std::int64_t number = integer();
        if (!accept("*")) return {0, number};
        expect("B");
        return {number, 0};
    }

    template <class Value>
    void declare(std::map<std::string, Value>& names, const std::string& name, Value value) {
        if (name == "B" || !names.emplace(name, value).second) fail("`" + name + "` is taken");
    }

    void declaration() {
        if (accept("param")) {
            param();
        } else if (accept("local")) {
            Local local;
            const std::string word = name("a name");
            expect(":");
            local.dtype = dtype();
            list("[", "]", [&] { local.dims.push_back(integer()); });
            declare(buffers_, word,
                    Buffer{Buffer::Kind::local, static_cast<std::uint32_t>(kernel_.locals.size())});
            kernel_.locals.push_back(std::move(local));
        } else if (accept("table")) {
            const std::string word = name("a name");
            expect(":");
            kernel_.tables.emplace_back();
            list("[", "]", [&] { kernel_.tables.back().push_back(floating()); });
            declare(tables_, word, static_cast<std::int64_t>(kernel_.tables.size()) - 1);
        } else if (accept("outer")) {
            kernel_.outer = axes(AxisKind::outer);
        } else if (accept("stage")) {
            stage();
        } else {
            fail("param, local, table, outer or stage", lexer_.word());
        }
    }

    void param() {
        Param param;
        const std::string word = name("a name");
        expect(":");
        if (accept("out")) {
            param.direction = Direction::out;
        } else if (accept("inout")) {
            param.direction = Direction::inout;
        } else {
            expect("in");
        }
        param.dtype = dtype();
        list("[", "]", [&] { param.dims.push_back(extent()); });
        param.layout = row_major(param.dims.size());
        param.layout.lanes = accept("lanes");
        if (accept("order")) {
            param.layout.order.clear();
            list("(", ")",
                 [&] { param.layout.order.push_back(static_cast<std::int32_t>(integer())); });
        }
        if (accept("extra")) {
            expect("(");
            param.layout.extra = integer();
            expect(")");
        }
        declare(buffers_, word,
                Buffer{Buffer::Kind::param, static_cast<std::uint32_t>(kernel_.params.size())});
        kernel_.params.push_back(std::move(param));
    }

    std::vector<AxisId> axes(AxisKind kind) {
        std::vector<AxisId> result;
        list("(", ")", [&] {
            const std::string word = name("an axis");
            expect(":");
            const Axis axis{kind, extent()};
            result.push_back(static_cast<AxisId>(kernel_.axes.size()));
            declare(axes_, word, result.back());
            kernel_.axes.push_back(axis);
        });
        return result;
    }

    // Quasi-affine: sums, products with a number, `// n` and `% n` of one factor.
    Index index() {
        Index result = accept("-") ? index_term() * -1 : index_term();
        while (!failed_ && (at("+") || at("-"))) {
            const bool plus = accept("+");
            if (!plus) lexer_.next();
            const Index term = index_term();
            result = plus ? result + term : result - term;
        }
        return result;
    }
    Index index_term() {
        Index result = index_factor();
        while (!failed_) {
            if (accept("*")) {
                const Index factor = index_factor();
                if (result.is_constant()) {
                    result = factor * result.constant();
                } else if (factor.is_constant()) {
                    result = result * factor.constant();
                } else {
                    fail("an index is no product of axes");
                }
            } else if (at("//") || at("%")) {
                const bool is_mod = at("%");
                lexer_.next();
                const std::int64_t divisor = integer();
                if (divisor <= 0) return fail("a divisor is positive"), Index();
                result = is_mod ? floor_mod(result, divisor) : floor_div(result, divisor);
            } else {
                break;
            }
        }
        return result;
    }
    Index index_factor() {
        if (accept("(")) {
            const Index result = index();
            expect(")");
            return result;
        }
        if (!lexer_.is_name()) return Index(integer());
        const std::string word = name("an axis");
        const auto found = axes_.find(word);
        if (found == axes_.end()) return fail("no axis `" + word + "`"), Index();
        return Index::axis(found->second);
    }

    void stage() {
        Stage stage;
        states_.clear();
        stage.axes = axes(AxisKind::parallel);
        expect("{");
        if (accept("reduce")) stage.reduction = reduction();
        values_.clear();
        while (!failed_ && !accept("}")) {
            if (at("let")) {
                let();
                continue;
            }
            const bool scatter = accept("scatter");
            if (!scatter) expect("store");
            Store store;
            store.clipped = accept("clipped");
            if (store.clipped) expect("(");
            element(store.target, store.index, store.indirect, store.position);
            if (store.clipped) expect(")");
            expect(scatter ? "+=" : "=");
            if (scatter && store.indirect < 0) fail("a scatter needs a position `at(...)`");
            if (!scatter && store.indirect >= 0) fail("a position `at(...)` needs scatter and +=");
            store.value = value();
            stage.stores.push_back(std::move(store));
        }
        kernel_.stages.push_back(std::move(stage));
    }

    Reduction reduction() {
        Reduction result;
        result.axes = axes(AxisKind::reduced);
        if (accept("lanes")) {
            result.order.kind = OrderKind::lanes;
            expect("(");
            const std::string axis = name("an axis");
            const auto found = axes_.find(axis);
            if (found == axes_.end()) fail("no axis `" + axis + "`");
            if (!failed_) result.order.lane_axis = found->second;
            if (accept(",")) result.order.leaf = integer();
            expect(")");
        } else if (accept("blocked")) {
            result.order.kind = OrderKind::blocked;
            expect("(");
            result.order.leaf = integer();
            expect(")");
        } else {
            expect("sequential");
        }
        while (accept("guard")) guard(result);
        while (accept("state")) state(result);
        result.step = updates();
        if (accept("merge")) result.merge = updates();
        return result;
    }

    void state(Reduction& reduction) {
        expect("s" + std::to_string(states_.size()));
        expect(":");
        StateVariable state;
        state.dtype = dtype();
        expect("=");
        state.identity = floating();
        reduction.states.push_back(state);
        states_.push_back(state.dtype);
    }

    // s0 -> value, one line per state.
    std::vector<ScalarId> updates() {
        values_.clear();
        std::vector<ScalarId> result;
        while (!failed_ && result.size() < states_.size()) {
            if (at("let")) {
                let();
                continue;
            }
            expect("s" + std::to_string(result.size()));
            expect("->");
            result.push_back(value());
        }
        return result;
    }

    void guard(Reduction& reduction) {
        Guard guard;
        expect("0");
        expect("<");
        expect("=");
        guard.index = index();
        if (accept("/")) guard.divisor = integer();
        expect("<");
        guard.limit = extent();
        reduction.guards.push_back(std::move(guard));
    }

    void let() {
        expect("let");
        const std::string word = name("a name");
        expect("=");
        const ScalarId id = value();
        declare(values_, word, id);
    }

    void element(Buffer& buffer, std::vector<Index>& position, std::int32_t& indirect,
                 ScalarId& where) {
        const std::string word = name("a buffer");
        const auto found = buffers_.find(word);
        if (found == buffers_.end()) return fail("no buffer `" + word + "`");
        buffer = found->second;
        list("[", "]", [&] {
            if (!accept("at")) return position.push_back(index());
            indirect = static_cast<std::int32_t>(position.size());
            position.emplace_back();
            expect("(");
            where = value();
            expect(")");
        });
    }

    // Defined in the order of the grammar: sum, product, atom.
    ScalarId value();
    ScalarId product();
    ScalarId atom();
    ScalarId constant();
    ScalarId read(const std::string& word);
    ScalarId add_read(Read read);
    ScalarId function(const std::string& word);
    ScalarId call(ScalarOp op);
    std::optional<ScalarId> state_named(const std::string& word);

    ScalarId node(ScalarOp op, std::vector<ScalarId> operands, DType type) {
        return kernel_.scalars.add_node({.op = op, .type = type, .operands = std::move(operands)});
    }
    DType type_of(ScalarId id) const {
        return id < kernel_.scalars.size() ? kernel_.scalars.type(id) : DType::f32;
    }

    KernelLexer lexer_;
    Kernel kernel_;
    bool failed_ = false;
    Error error_;
    std::map<std::string, Buffer> buffers_;
    std::map<std::string, std::int64_t> tables_;
    std::map<std::string, AxisId> axes_;
    std::map<std::string, ScalarId> values_;
    std::vector<DType> states_;
};

}  // namespace netc
