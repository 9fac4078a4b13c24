// Selectors of columns: col, cols, category, one_hot, equals, standardize, ++.
#include "frontend/train_selectors.h"

#include <fmt/format.h>

namespace netc::frontend {

namespace {

struct SelectorReader {
    SettingReader& reader;

    std::optional<FieldSelector> wrong(Span place) const {
        reader.error(diagnose<Code::wrong_static_type>(
            place, "what a field is read from",
            "a selector such as `col(0)`, `cols(0..4)` or `equals(col(1), \"M\")`"));
        return std::nullopt;
    }

    // 3, "age", 0..4
    bool add_column(const ast::Expr& expression, FieldSelector& selector) const {
        const Datum value = reader.value(expression);
        if (value.failed()) return false;
        if (const auto* number = value.as<std::int64_t>()) {
            selector.columns.emplace_back(*number);
            return true;
        }
        if (const auto* name = value.as<std::string>()) {
            selector.columns.emplace_back(*name);
            return true;
        }
        const auto* range = std::get_if<ast::Binary>(&expression.kind);
        const Items* items = value.items();
        if (range && range->op == ast::BinaryOperator::range && items && !items->empty()) {
            const std::int64_t begin = *items->front().as<std::int64_t>();
            selector.columns.emplace_back(
                ColumnRange{begin, begin + static_cast<std::int64_t>(items->size())});
            return true;
        }
        return wrong(expression.span).has_value();
    }

    bool add_part(const ast::Expr& expression, FieldSelector& selector) const {
        std::optional<FieldSelector> part = read(expression);
        if (!part) return false;
        selector.parts.push_back(std::move(*part));
        return true;
    }

    std::optional<FieldSelector> read(const ast::Expr& expression) const {
        FieldSelector selector;
        selector.span = expression.span;
        if (const auto* node = std::get_if<ast::Binary>(&expression.kind)) {
            if (node->op != ast::BinaryOperator::concat) return wrong(expression.span);
            selector.kind = SelectorKind::concat;
            if (!add_part(*node->left, selector) || !add_part(*node->right, selector)) {
                return std::nullopt;
            }
            return selector;
        }
        const std::optional<SettingCall> call = setting_call(reader, expression);
        if (!call) return wrong(expression.span);
        const std::vector<ast::Argument>& arguments = *call->arguments;
        const auto count = [&](std::size_t wanted) {
            if (arguments.size() == wanted) return true;
            reader.error(diagnose<Code::too_many_arguments>(
                call->place, call->name,
                wanted == 1 ? "one argument" : fmt::format("{} arguments", wanted),
                arguments.size()));
            return false;
        };
        if (call->name == "col" || call->name == "cols") {
            if (call->name == "col" && !count(1)) return std::nullopt;
            if (arguments.empty()) return wrong(expression.span);
            for (const ast::Argument& argument : arguments) {
                if (!add_column(argument.value, selector)) return std::nullopt;
            }
            return selector;
        }
        if (!known_word(reader, *call, "data",
                        {"col", "cols", "category", "one_hot", "equals", "standardize"})) {
            return std::nullopt;
        }
        if (!count(call->name == "equals" ? 2 : 1)) return std::nullopt;
        if (!add_part(arguments[0].value, selector)) return std::nullopt;
        if (call->name == "category") selector.kind = SelectorKind::category;
        if (call->name == "one_hot") selector.kind = SelectorKind::one_hot;
        if (call->name == "standardize") selector.kind = SelectorKind::standardize;
        if (call->name == "equals") {
            selector.kind = SelectorKind::equals;
            const Datum value = reader.value(arguments[1].value);
            if (value.failed()) return std::nullopt;
            selector.text = describe_value(value);
        }
        return selector;
    }
};

}  // namespace

std::optional<FieldSelector> read_selector(SettingReader& reader, const ast::Expr& expression) {
    return SelectorReader{reader}.read(expression);
}

}  // namespace netc::frontend
