// How the words and signs of the syntax tree are written.
#include "frontend/ast.h"

namespace netc::ast {

std::string_view spelling(Dtype dtype) {
    switch (dtype) {
        case Dtype::f64: return "f64";
        case Dtype::f32: return "f32";
        case Dtype::f16: return "f16";
        case Dtype::bf16: return "bf16";
        case Dtype::i64: return "i64";
        case Dtype::i32: return "i32";
        case Dtype::i16: return "i16";
        case Dtype::i8: return "i8";
        case Dtype::u8: return "u8";
        case Dtype::b1: return "b1";
        case Dtype::real: return "real";
        case Dtype::any: return "any";
    }
    return "?";
}

std::optional<Dtype> parse_dtype(std::string_view word) {
    for (const Dtype dtype :
         {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i64, Dtype::i32, Dtype::i16,
          Dtype::i8, Dtype::u8, Dtype::b1, Dtype::real, Dtype::any}) {
        if (spelling(dtype) == word) return dtype;
    }
    return std::nullopt;
}

std::string_view spelling(StaticKind kind) {
    switch (kind) {
        case StaticKind::integer: return "int";
        case StaticKind::floating: return "float";
        case StaticKind::boolean: return "bool";
        case StaticKind::string: return "string";
        case StaticKind::list: return "list";
        case StaticKind::fn: return "fn";
        case StaticKind::layer: return "layer";
        case StaticKind::init: return "init";
        case StaticKind::dtype: return "dtype";
    }
    return "?";
}

std::string_view spelling(Unit unit) {
    switch (unit) {
        case Unit::epochs: return "ep";
        case Unit::steps: return "st";
        case Unit::seconds: return "s";
        case Unit::minutes: return "min";
        case Unit::hours: return "h";
    }
    return "?";
}

std::string_view spelling(UnaryOperator op) {
    switch (op) {
        case UnaryOperator::negate: return "-";
        case UnaryOperator::logical_not: return "not";
    }
    return "?";
}

std::string_view spelling(BinaryOperator op) {
    switch (op) {
        case BinaryOperator::add: return "+";
        case BinaryOperator::subtract: return "-";
        case BinaryOperator::concat: return "++";
        case BinaryOperator::multiply: return "*";
        case BinaryOperator::divide: return "/";
        case BinaryOperator::floor_divide: return "//";
        case BinaryOperator::modulo: return "%";
        case BinaryOperator::matmul: return "@";
        case BinaryOperator::power: return "^";
        case BinaryOperator::equal: return "==";
        case BinaryOperator::not_equal: return "!=";
        case BinaryOperator::less: return "<";
        case BinaryOperator::less_equal: return "<=";
        case BinaryOperator::greater: return ">";
        case BinaryOperator::greater_equal: return ">=";
        case BinaryOperator::logical_and: return "and";
        case BinaryOperator::logical_or: return "or";
        case BinaryOperator::range: return "..";
    }
    return "?";
}

std::string_view spelling(CallableKind kind) {
    switch (kind) {
        case CallableKind::fn: return "fn";
        case CallableKind::layer: return "layer";
        case CallableKind::model: return "model";
    }
    return "?";
}

}  // namespace netc::ast
