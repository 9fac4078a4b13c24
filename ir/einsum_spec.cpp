// See einsum_spec.h.
#include "ir/einsum_spec.h"

#include <cctype>

#include <fmt/format.h>

namespace netc {
namespace {

Status check_letters(const std::string& letters) {
    for (std::size_t i = 0; i < letters.size(); ++i) {
        if (std::isalpha(static_cast<unsigned char>(letters[i])) == 0) {
            return Error{kExitInternal, fmt::format("`{}` is not a letter", letters[i])};
        }
        if (letters.find(letters[i], i + 1) != std::string::npos) {
            return Error{kExitInternal,
                         fmt::format("`{}` stands twice in `{}`", letters[i], letters)};
        }
    }
    return {};
}

}  // namespace

std::string EinsumSpec::reduced() const {
    std::string letters;
    for (const std::string& input : inputs) {
        for (const char letter : input) {
            if (output.find(letter) == std::string::npos &&
                letters.find(letter) == std::string::npos) {
                letters += letter;
            }
        }
    }
    return letters;
}

std::string EinsumSpec::to_string() const {
    std::string text = inputs[0];
    for (std::size_t i = 1; i < inputs.size(); ++i) text += "," + inputs[i];
    return text + "->" + output;
}

Result<EinsumSpec> parse_einsum(std::string_view text) {
    const std::size_t arrow = text.find("->");
    if (arrow == std::string_view::npos) {
        return Error{kExitInternal, fmt::format("`{}` has no `->`", text)};
    }
    EinsumSpec spec;
    spec.output = text.substr(arrow + 2);
    std::string_view operands = text.substr(0, arrow);
    for (;;) {
        const std::size_t comma = operands.find(',');
        spec.inputs.emplace_back(operands.substr(0, comma));
        if (comma == std::string_view::npos) break;
        operands.remove_prefix(comma + 1);
    }
    if (spec.inputs.size() > 2) {
        return Error{kExitInternal, fmt::format("`{}` has more than two operands", text)};
    }
    std::string known;
    for (const std::string& input : spec.inputs) {
        if (Status status = check_letters(input); !status) return status.error();
        known += input;
    }
    if (Status status = check_letters(spec.output); !status) return status.error();
    for (const char letter : spec.output) {
        if (known.find(letter) == std::string::npos) {
            return Error{kExitInternal, fmt::format("`{}` of the result is in no operand", letter)};
        }
    }
    return spec;
}

}  // namespace netc
