// Selectors as text.
#include "runtime/data/selector_text.h"

#include <fmt/format.h>

#include "runtime/data/csv_table.h"

namespace netc {
namespace {

std::string to_text(const ColumnReference& reference) {
    if (const auto* name = std::get_if<std::string>(&reference)) return quoted_text(*name);
    if (const auto* number = std::get_if<std::int64_t>(&reference))
        return fmt::format("{}", *number);
    const auto& range = std::get<ColumnRange>(reference);
    return fmt::format("{}..{}", range.begin, range.end ? fmt::format("{}", *range.end) : "");
}

std::string parts_text(const FieldSelector& selector, std::string_view separator) {
    std::string text;
    for (const FieldSelector& part : selector.parts) {
        if (!text.empty()) text += separator;
        text += netc::to_text(part);
    }
    return text;
}

}  // namespace

std::string quoted_text(std::string_view text) { return fmt::format("\"{}\"", excerpt(text)); }

std::string listed_texts(const std::vector<std::string>& texts) {
    std::string text;
    for (std::size_t i = 0; i < texts.size() && i < 12; ++i) {
        text += fmt::format("{}{}", i == 0 ? "" : ", ", excerpt(texts[i]));
    }
    return text + (texts.size() > 12 ? ", ..." : "");
}

std::string to_text(const FieldSelector& selector) {
    switch (selector.kind) {
        case SelectorKind::columns: {
            std::string text;
            for (const ColumnReference& reference : selector.columns) {
                if (!text.empty()) text += ", ";
                text += to_text(reference);
            }
            const bool one = selector.columns.size() == 1 &&
                             !std::holds_alternative<ColumnRange>(selector.columns[0]);
            return fmt::format("{}({})", one ? "col" : "cols", text);
        }
        case SelectorKind::category: return fmt::format("category({})", parts_text(selector, ", "));
        case SelectorKind::one_hot: return fmt::format("one_hot({})", parts_text(selector, ", "));
        case SelectorKind::equals:
            return fmt::format("equals({}, {})", parts_text(selector, ", "),
                               quoted_text(selector.text));
        case SelectorKind::standardize:
            return fmt::format("standardize({})", parts_text(selector, ", "));
        case SelectorKind::concat: return parts_text(selector, " ++ ");
    }
    return "";
}

}  // namespace netc
