// einsum with its checks, and the longer messages of the shape builtins.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "frontend/builtins_shape.h"

namespace netc::frontend {

namespace {

Datum malformed(const BuiltinCall& call, const std::string& what) {
    const Datum& spec = call.configuration[0];
    return report(call.context,
                  diagnose<Code::malformed_specification>(
                      blame(call.context, spec.place.known() ? spec.place : call.place), what));
}

struct EinsumText {
    std::vector<std::string> operands;
    std::string result;
};

std::optional<EinsumText> parse_einsum(std::string_view text) {
    EinsumText parsed;
    std::string current;
    const std::size_t arrow = text.find("->");
    if (arrow == std::string_view::npos) return std::nullopt;
    for (const char c : text.substr(0, arrow)) {
        if (c == ' ') continue;
        if (c == ',') {
            parsed.operands.push_back(std::move(current));
            current.clear();
        } else if (c >= 'a' && c <= 'z') {
            current += c;
        } else {
            return std::nullopt;
        }
    }
    parsed.operands.push_back(std::move(current));
    for (const char c : text.substr(arrow + 2)) {
        if (c == ' ') continue;
        if (c < 'a' || c > 'z') return std::nullopt;
        parsed.result += c;
    }
    return parsed;
}

bool has_repeats(std::string letters) {
    std::sort(letters.begin(), letters.end());
    return std::adjacent_find(letters.begin(), letters.end()) != letters.end();
}

}  // namespace

Datum einsum(const BuiltinCall& call) {
    const auto* spec = call.configuration[0].as<std::string>();
    if (!spec) return wrong_value(call, call.configuration[0], "the argument", "a string");
    const std::optional<EinsumText> parsed = parse_einsum(*spec);
    if (!parsed) {
        return malformed(call, fmt::format("\"{}\" is no einsum: it is written as \"bi,io->bo\", a "
                                           "small letter for each dimension",
                                           *spec));
    }
    if (parsed->operands.size() != call.values.size()) {
        return malformed(call, fmt::format("\"{}\" describes {} operands, but {} are given", *spec,
                                           parsed->operands.size(), call.values.size()));
    }
    if (call.values.size() > 2) {
        return report(call.context,
                      diagnose<Code::not_supported_yet>(blame(call.context, call.place),
                                                        "an einsum of more than two operands")
                          .help("contract two operands at a time"));
    }
    std::vector<TensorPointer> tensors;
    std::map<char, std::pair<Dim, std::size_t>> sizes;
    for (std::size_t i = 0; i < call.values.size(); ++i) {
        tensors.push_back(tensor_input(call, i, call.context.real));
        if (!tensors[i]) return failed_datum();
        const std::string& letters = parsed->operands[i];
        if (letters.size() != tensors[i]->type.rank()) {
            return malformed(call,
                             fmt::format("\"{}\" has {} letters, but the operand is {}", letters,
                                         letters.size(), tensors[i]->type.to_string()));
        }
        if (has_repeats(letters)) {
            return malformed(call, fmt::format("\"{}\" uses a letter twice", letters));
        }
        for (std::size_t j = 0; j < letters.size(); ++j) {
            const Dim& size = tensors[i]->type.shape[j];
            const auto [known, first] = sizes.emplace(letters[j], std::pair{size, i});
            if (first || known->second.first == size) continue;
            const Tensor& other = *tensors[known->second.second];
            return report(call.context,
                          diagnose<Code::inner_dimensions_differ>(
                              blame(call.context, call.place), "einsum",
                              known->second.first.to_string(), size.to_string())
                              .text("`{}` stands for both", letters[j])
                              .label(blame(call.context, call.values[known->second.second].place),
                                     "{}", other.type.to_string())
                              .label(blame(call.context, call.values[i].place), "{}",
                                     tensors[i]->type.to_string()));
        }
    }
    if (has_repeats(parsed->result)) {
        return malformed(call, fmt::format("\"{}\" uses a letter twice", parsed->result));
    }
    for (const char c : parsed->result) {
        if (!sizes.contains(c)) {
            return malformed(call, fmt::format("`{}` stands in the result but in no operand", c));
        }
    }
    std::string text = parsed->operands[0];
    if (tensors.size() == 2) text += "," + parsed->operands[1];
    text += "->" + parsed->result;
    std::vector<const Tensor*> inputs;
    for (const TensorPointer& tensor : tensors) inputs.push_back(tensor.get());
    return make_node(call.context, OpId::einsum, inputs, {{"spec", text}}, call.place);
}

Datum reshape_error(const BuiltinCall& call, const Tensor& x, const Shape& wanted) {
    const Shape& found = x.type.shape;
    Diagnostic diagnostic = diagnose<Code::reshape_changes_count>(
        blame(call.context, call.place), x.type.to_string(), shape_text(wanted));
    const bool batch =
        !found.empty() && !wanted.empty() && found[0] == wanted[0] && !found[0].is_static();
    const Dim before = product({found.begin() + (batch ? 1 : 0), found.end()});
    const Dim after = product({wanted.begin() + (batch ? 1 : 0), wanted.end()});
    diagnostic.primary.text = fmt::format("{} elements{} become {}", before.to_string(),
                                          batch ? " per sample" : "", after.to_string());
    if (batch && before.is_static() && after.is_static()) {
        for (std::size_t i = wanted.size(); i-- > 1;) {
            if (!wanted[i].is_static()) continue;
            const std::int64_t others = after.value() / wanted[i].value();
            if (others < 1 || before.value() % others != 0) continue;
            Shape meant = wanted;
            meant[i] = before.value() / others;
            std::move(diagnostic)
                .help("{} = {} * {}; did you mean {}?", before.value(), others,
                      meant[i].to_string(), shape_text(meant));
            break;
        }
    }
    return report(call.context, std::move(diagnostic));
}

Datum concat_error(const BuiltinCall& call, std::int64_t axis, const Tensor& first,
                   const Tensor& other, Span first_place, Span other_place) {
    Diagnostic diagnostic =
        diagnose<Code::concat_disagrees>(blame(call.context, other_place), axis)
            .text("{}", other.type.to_string())
            .label(blame(call.context, first_place), "{}", first.type.to_string());
    if (first.type.rank() != other.type.rank()) {
        return report(call.context,
                      std::move(diagnostic)
                          .note("the ranks are {} and {}", first.type.rank(), other.type.rank()));
    }
    // Dimensions that differ in the same way are one fact: `4 and 2`.
    std::vector<std::pair<std::string, std::vector<std::string>>> facts;
    for (std::size_t i = 0; i < first.type.rank(); ++i) {
        const Dim &here = first.type.shape[i], &there = other.type.shape[i];
        if (static_cast<std::int64_t>(i) == axis || here == there) continue;
        std::string fact = fmt::format("{} and {}", here.to_string(), there.to_string());
        const Span maker = blame(call.context, other.origins[i]);
        if (maker.known() && other.role == Role::expression) {
            fact += fmt::format(" ({} `{}`)", there * Dim(2) == here ? "halved by" : "from",
                                source_text(call.context, maker, 40));
        }
        if (facts.empty() || facts.back().first != fact) facts.push_back({fact, {}});
        facts.back().second.push_back(std::to_string(i));
    }
    for (const auto& [fact, dimensions] : facts) {
        const bool several = dimensions.size() > 1;
        std::move(diagnostic)
            .note("dimension{} {} differ{}: {}", several ? "s" : "",
                  fmt::join(dimensions, dimensions.size() == 2 ? " and " : ", "),
                  several ? "" : "s", fact);
    }
    return report(call.context, std::move(diagnostic));
}

}  // namespace netc::frontend
