// The reference of all operators as Markdown, from their records.
#include <fmt/format.h>

#include "ir/op_def.h"

namespace netc {
namespace {

struct Chapter {
    OpFamily family;
    const char* title;
};

constexpr Chapter kChapters[] = {
    {OpFamily::leaf, "Leaves"},
    {OpFamily::elementwise, "Elementwise"},
    {OpFamily::view, "Views"},
    {OpFamily::reduction, "Reductions"},
    {OpFamily::contraction, "Contractions"},
    {OpFamily::tiles, "Transformed tiles"},
    {OpFamily::scatter, "Scatter"},
    {OpFamily::random, "Random numbers"},
    {OpFamily::loop, "Loops"},
};

std::string operands_text(const OpDef& def) {
    if (def.max_inputs < 0) return fmt::format("{} or more operands", def.min_inputs);
    if (def.min_inputs != def.max_inputs) {
        return fmt::format("{} or {} operands", def.min_inputs, def.max_inputs);
    }
    if (def.min_inputs == 0) return "no operands";
    return fmt::format("{} operand{}", def.min_inputs, def.min_inputs == 1 ? "" : "s");
}

std::string operator_text(const OpDef& def) {
    std::string text = fmt::format("### {}\n\n{}. {}", def.name, def.doc, operands_text(def));
    if (def.commutative) text += ", commutative";
    if (def.monotone_increasing) text += ", monotone";
    if (def.grad == nullptr && def.family != OpFamily::leaf && def.family != OpFamily::loop)
        text += ", passes no gradient";
    text += ".\n\n";
    for (const AttributeSpec& attribute : def.attributes) {
        text += fmt::format("- `{}` ({}): {}\n", attribute.name, name_of(attribute.kind),
                            attribute.doc);
    }
    if (!def.attributes.empty()) text += "\n";
    return text;
}

}  // namespace

std::string operators_reference() {
    std::string text = "# Operators of the graph\n\n";
    for (const Chapter& chapter : kChapters) {
        text += fmt::format("## {}\n\n", chapter.title);
        for (const OpId op : all_ops()) {
            if (op_def(op).family == chapter.family) text += operator_text(op_def(op));
        }
    }
    return text;
}

}  // namespace netc
