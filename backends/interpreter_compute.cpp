// The meaning of each scalar operation, in double precision or exact integers.
#include <bit>
#include <cmath>
#include <limits>

#include "backends/interpreter_tape.h"
#include "ir/philox.h"

namespace netc::interpreter {
namespace {

Value of(double number) { return {.number = number}; }

// Integers live sign extended (u8 and b1 zero extended) in 64 bits.
Value wrapped(std::uint64_t bits, DType type) {
    switch (type) {
        case DType::i32: return {.integer = static_cast<std::int32_t>(bits)};
        case DType::i16: return {.integer = static_cast<std::int16_t>(bits)};
        case DType::i8: return {.integer = static_cast<std::int8_t>(bits)};
        case DType::u8: return {.integer = static_cast<std::uint8_t>(bits)};
        case DType::b1: return {.integer = (bits & 1) != 0};
        case DType::i64:
        case DType::f64:
        case DType::f32:
        case DType::f16:
        case DType::bf16: return {.integer = static_cast<std::int64_t>(bits)};
    }
    return {.integer = 0};
}

std::int64_t least(DType type) {
    if (type == DType::u8 || type == DType::b1) return 0;
    return type == DType::i64 ? std::numeric_limits<std::int64_t>::min()
                              : -(std::int64_t{1} << (size_of(type) * 8 - 1));
}

std::int64_t greatest(DType type) {
    if (type == DType::b1) return 1;
    if (type == DType::u8) return 255;
    return type == DType::i64 ? std::numeric_limits<std::int64_t>::max()
                              : (std::int64_t{1} << (size_of(type) * 8 - 1)) - 1;
}

// To the nearest, ties to even; NaN and infinity stay.
double rounded_to_bf16(double number) {
    if (!std::isfinite(number)) return number;
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(number));
    const std::uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
    return double{std::bit_cast<float>(rounded & 0xFFFF0000)};
}

// A cast to bf16 says how exact a value is meant to be, so it rounds; all others keep double precision.
Value cast(Value value, bool from_float, DType type) {
    if (is_float(type)) {
        if (!from_float) value = of(static_cast<double>(value.integer));
        return type == DType::bf16 ? of(rounded_to_bf16(value.number)) : value;
    }
    if (type == DType::b1) {
        return {.integer = from_float ? value.number != 0 : value.integer != 0};
    }
    if (!from_float) return wrapped(static_cast<std::uint64_t>(value.integer), type);
    if (std::isnan(value.number)) return {.integer = 0};
    if (value.number <= static_cast<double>(least(type))) return {.integer = least(type)};
    if (value.number >= static_cast<double>(greatest(type))) return {.integer = greatest(type)};
    return {.integer = static_cast<std::int64_t>(value.number)};
}

Value bitcast(Value value, bool from_float, DType type) {
    switch (type) {
        case DType::i32:
            return {.integer = std::bit_cast<std::int32_t>(static_cast<float>(value.number))};
        case DType::i64: return {.integer = std::bit_cast<std::int64_t>(value.number)};
        case DType::f32:
            return of(double{std::bit_cast<float>(static_cast<std::int32_t>(value.integer))});
        case DType::f64: return of(std::bit_cast<double>(value.integer));
        case DType::f16:
        case DType::bf16:
        case DType::i16:
        case DType::i8:
        case DType::u8:
        case DType::b1: return from_float ? of(std::numeric_limits<double>::quiet_NaN()) : value;
    }
    return value;
}

std::int64_t shifted(ScalarOp op, Value a, Value b, DType type) {
    const auto bits = static_cast<std::uint64_t>(size_of(type)) * 8;
    const auto amount = static_cast<std::uint64_t>(b.integer);
    if (amount >= bits) return 0;
    auto value = static_cast<std::uint64_t>(a.integer);
    if (op == ScalarOp::shift_left) return wrapped(value << amount, type).integer;
    if (bits < 64) value &= (std::uint64_t{1} << bits) - 1;
    return wrapped(value >> amount, type).integer;
}

Value on_integers(const Instruction& instruction, Value a, Value b) {
    const auto ua = static_cast<std::uint64_t>(a.integer);
    const auto ub = static_cast<std::uint64_t>(b.integer);
    const DType type = instruction.type;
    if (instruction.op == ScalarOp::neg) return wrapped(0 - ua, type);
    if (instruction.op == ScalarOp::abs) return wrapped(a.integer < 0 ? 0 - ua : ua, type);
    if (instruction.op == ScalarOp::add) return wrapped(ua + ub, type);
    if (instruction.op == ScalarOp::mul) return wrapped(ua * ub, type);
    if (instruction.op == ScalarOp::max) return a.integer > b.integer ? a : b;
    if (instruction.op == ScalarOp::min) return a.integer < b.integer ? a : b;
    if (instruction.op == ScalarOp::equal) return {.integer = a.integer == b.integer};
    if (instruction.op == ScalarOp::less) return {.integer = a.integer < b.integer};
    if (instruction.op == ScalarOp::less_equal) return {.integer = a.integer <= b.integer};
    if (instruction.op == ScalarOp::logical_and || instruction.op == ScalarOp::bit_and)
        return {.integer = a.integer & b.integer};
    if (instruction.op == ScalarOp::logical_or || instruction.op == ScalarOp::bit_or)
        return {.integer = a.integer | b.integer};
    if (instruction.op == ScalarOp::bit_xor) return wrapped(ua ^ ub, type);
    if (instruction.op == ScalarOp::logical_not) return {.integer = a.integer == 0};
    return {.integer = shifted(instruction.op, a, b, type)};
}

Value on_floats(ScalarOp op, double a, double b, double c) {
    if (op == ScalarOp::neg) return of(-a);
    if (op == ScalarOp::abs) return of(std::fabs(a));
    if (op == ScalarOp::add) return of(a + b);
    if (op == ScalarOp::mul) return of(a * b);
    if (op == ScalarOp::div) return of(a / b);
    if (op == ScalarOp::max) return of(a > b || a != a ? a : b);
    if (op == ScalarOp::min) return of(a < b || a != a ? a : b);
    if (op == ScalarOp::sqrt) return of(std::sqrt(a));
    if (op == ScalarOp::floor) return of(std::floor(a));
    if (op == ScalarOp::fma) return of(a * b + c);  // in double precision two roundings do no harm
    if (op == ScalarOp::exp) return of(std::exp(a));
    if (op == ScalarOp::expm1) return of(std::expm1(a));
    if (op == ScalarOp::log) return of(std::log(a));
    if (op == ScalarOp::log1p) return of(std::log1p(a));
    if (op == ScalarOp::sin) return of(std::sin(a));
    if (op == ScalarOp::cos) return of(std::cos(a));
    if (op == ScalarOp::tanh) return of(std::tanh(a));
    if (op == ScalarOp::erf) return of(std::erf(a));
    if (op == ScalarOp::pow) return of(std::pow(a, b));
    if (op == ScalarOp::equal) return {.integer = a == b};
    if (op == ScalarOp::less) return {.integer = a < b};
    if (op == ScalarOp::less_equal) return {.integer = a <= b};
    return of(std::numeric_limits<double>::quiet_NaN());
}

}  // namespace

Value compute(const Instruction& instruction, const Value* registers, const Kernel& kernel) {
    const Value a = registers[instruction.a], b = registers[instruction.b];
    const Value c = registers[instruction.c];
    if (instruction.op == ScalarOp::select) return a.integer != 0 ? b : c;
    if (instruction.op == ScalarOp::cast) return cast(a, instruction.on_floats, instruction.type);
    if (instruction.op == ScalarOp::bitcast) {
        return bitcast(a, instruction.on_floats, instruction.type);
    }
    if (instruction.op == ScalarOp::lookup) {
        const auto& table = kernel.tables[static_cast<std::size_t>(instruction.number)];
        return of(table[static_cast<std::size_t>(a.integer) & 31]);
    }
    if (instruction.op == ScalarOp::philox) {
        const PhiloxCounter words = philox(philox_key(static_cast<std::uint64_t>(a.integer)),
                                           philox_counter(static_cast<std::uint64_t>(b.integer),
                                                          static_cast<std::uint64_t>(c.integer)));
        return wrapped(words[static_cast<std::size_t>(instruction.number)], DType::i32);
    }
    return instruction.on_floats ? on_floats(instruction.op, a.number, b.number, c.number)
                                 : on_integers(instruction, a, b);
}

}  // namespace netc::interpreter
