// penalty = l2(c, on = "glob") + l1(...): nodes of the training function.
#include <fmt/format.h>

#include "frontend/elaborate_variables.h"
#include "frontend/train_settings.h"

namespace netc::frontend {

// `*` matches any text, dots too; `?` one character.
bool glob_matches(std::string_view glob, std::string_view text) {
    std::size_t g = 0, t = 0;
    std::size_t star = std::string_view::npos, mark = 0;
    while (t < text.size()) {
        if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t])) {
            ++g;
            ++t;
        } else if (g < glob.size() && glob[g] == '*') {
            star = g++;
            mark = t;
        } else if (star != std::string_view::npos) {
            g = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (g < glob.size() && glob[g] == '*') ++g;
    return g == glob.size();
}

namespace {

struct PenaltyBuilder {
    Context& context;
    SettingReader& reader;

    Datum wrong(Span place) const {
        reader.error(diagnose<Code::wrong_static_type>(
            place, "`penalty`", "a sum of `l2(c, on = \"glob\")` and `l1(c, on = \"glob\")`"));
        return failed_datum();
    }

    // c * sum of w^2 or |w| over the matching parameters that decay.
    Datum term(const SettingCall& call) const {
        const SettingArguments arguments(reader, call, {"c", "on"}, 1);
        if (!arguments.find("c")) {
            reader.error(diagnose<Code::missing_argument>(call.place, call.name, "a factor"));
            return failed_datum();
        }
        const auto factor = arguments.number("c");
        const std::string glob = arguments.text("on").value_or("*");
        if (!factor) return failed_datum();
        if (*factor < 0) {
            reader.out_of_range(arguments.find("c")->span, std::string(call.name), "at least 0");
            return failed_datum();
        }
        const ast::Expr* on = arguments.find("on");
        const Span place = on ? on->span : call.place;
        std::size_t matched = 0;
        Datum total;
        const std::size_t count = context.module->variables.size();
        for (std::size_t i = 0; i < count; ++i) {
            const Variable& variable = context.module->variables[i];
            if (variable.kind != VariableKind::parameter) continue;
            if (!glob_matches(glob, variable.name)) continue;
            ++matched;
            if (!variable.decay) continue;
            const Datum part = norm(static_cast<VariableId>(i), call);
            total = total.failed() ? part
                                   : binary(context, ast::BinaryOperator::add, total, part,
                                            call.place, call.place);
        }
        if (matched == 0) {
            reader.error(diagnose<Code::glob_matches_nothing>(place, glob)
                             .text("no parameter has such a path"));
            return failed_datum();
        }
        if (total.failed()) {
            reader.session.diagnostics.add(diagnose<Code::penalty_matches_bias>(place));
            return number_tensor(context, {0.0, call.place}, context.real, {}, call.place);
        }
        return binary(context, ast::BinaryOperator::multiply, {*factor, call.place}, total,
                      call.place, call.place);
    }

    Datum norm(VariableId id, const SettingCall& call) const {
        const std::string name = context.module->variables[id].name;
        const Datum w = variable_tensor(context, id, name, call.place);
        const Datum each =
            call.name == "l2"
                ? make_node(context, OpId::mul, {w.tensor(), w.tensor()}, {}, call.place)
                : make_node(context, OpId::abs, {w.tensor()}, {}, call.place);
        if (each.failed()) return each;
        std::vector<std::int64_t> axes;
        for (std::size_t i = 0; i < w.tensor()->type.rank(); ++i) {
            axes.push_back(static_cast<std::int64_t>(i));
        }
        if (axes.empty()) return each;
        return make_node(context, OpId::reduce_sum, {each.tensor()},
                         {{"axes", axes}, {"keep", false}}, call.place);
    }

    Datum value(const ast::Expr& given) const {
        const ast::Expr& expression = resolve_condition(reader, given);
        if (const auto* node = std::get_if<ast::Binary>(&expression.kind);
            node && node->op == ast::BinaryOperator::add) {
            const Datum left = value(*node->left);
            const Datum right = value(*node->right);
            return binary(context, node->op, left, right, expression.span, node->op_span);
        }
        const auto call = setting_call(reader, expression);
        if (!call) return wrong(expression.span);
        if (!known_word(reader, *call, "penalty", {"l2", "l1"})) return failed_datum();
        return term(*call);
    }
};

}  // namespace

Datum penalty_value(Context& context, SettingReader& reader, const ast::Expr& expression) {
    return PenaltyBuilder{context, reader}.value(expression);
}

}  // namespace netc::frontend
