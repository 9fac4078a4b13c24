// Words that printer and parser of graph text share. Private to graph_text.cpp and graph_parse.cpp.
#pragma once

#include <array>
#include <cctype>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace netc {

inline constexpr std::array<std::string_view, 4> kVariableKinds{"parameter", "state", "slot",
                                                                "prepared"};
inline constexpr std::array<std::string_view, 13> kInitializers{
    "zeros",          "ones",          "full",       "normal",    "uniform",
    "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "orthogonal",
    "rademacher",     "values",        "from_file"};

inline bool is_name_char(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == ':' ||
           c == '-';
}

// Names of these characters stand bare, others in quotes. A colon never ends a bare name: what
// follows a name may begin with one.
inline bool is_bare_name(std::string_view name) {
    if (name.empty() || name.back() == ':') return false;
    const char first = name.front();
    if (std::isalpha(static_cast<unsigned char>(first)) == 0 && first != '_') return false;
    for (const char c : name) {
        if (!is_name_char(c)) return false;
    }
    return true;
}

// The attribute repeats the node's type: left out of the text.
inline bool repeats_type(std::string_view name, const AttributeValue& value, const Type& type) {
    if (name == "shape") {
        const Shape* shape = std::get_if<Shape>(&value);
        return shape != nullptr && *shape == type.shape;
    }
    if (name == "dtype" || name == "to") {
        const DType* dtype = std::get_if<DType>(&value);
        return dtype != nullptr && *dtype == type.dtype;
    }
    return false;
}

inline bool is_comparison(OpId op) {
    return op == OpId::equal || op == OpId::less || op == OpId::less_equal;
}

// Operators whose operands have the type of the result; a constant among them stands as a number.
inline bool is_arithmetic(OpId op) {
    return op == OpId::add || op == OpId::sub || op == OpId::mul || op == OpId::div ||
           op == OpId::pow || op == OpId::max || op == OpId::min;
}

}  // namespace netc
