// See common.h.
#include "ir/ops/common.h"

#include <algorithm>
#include <limits>

namespace netc::ops {

Status check_dtype(AcceptDType accepts, DType type) {
    if (accepts(type)) return {};
    if (accepts(DType::b1)) return fact(fmt::format("needs b1, not {}", name_of(type)));
    if (accepts(DType::i32)) return fact(fmt::format("needs numbers, not {}", name_of(type)));
    return fact(fmt::format("needs floating point, not {}", name_of(type)));
}

Status check_factors(DType a, DType b) {
    const auto is_byte = [](DType type) {
        return sum_type(type) == DType::i32 && type != DType::i32;
    };
    if (is_byte(a) && is_byte(b)) return {};
    if (Status status = check_dtype(float_dtype, a); !status) return status;
    if (a != b) return fact(fmt::format("{} is not {}", name_of(b), name_of(a)));
    return {};
}

Status check_equal_types(const std::vector<Type>& types) {
    for (const Type& type : types) {
        if (type == types[0]) continue;
        return fact(fmt::format("{} is not {}", type.to_string(), types[0].to_string()));
    }
    return {};
}

Status check_axes(const Integers& axes, std::size_t rank) {
    for (std::size_t i = 0; i < axes.size(); ++i) {
        if (axes[i] < 0 || axes[i] >= static_cast<std::int64_t>(rank)) {
            return fact(fmt::format("there is no axis {} in rank {}", axes[i], rank));
        }
        if (i > 0 && axes[i] <= axes[i - 1]) {
            return fact("axes must be ascending and each named once");
        }
    }
    return {};
}

Status check_integers(const char* name, const Integers& values, std::size_t count,
                      std::int64_t least) {
    if (values.size() != count) {
        return fact(fmt::format("`{}` has {} entries, not {}", name, values.size(), count));
    }
    for (const std::int64_t value : values) {
        if (value < least) return fact(fmt::format("`{}` {} is below {}", name, value, least));
    }
    return {};
}

Status check_dims(const Shape& shape) {
    for (const Dim& dim : shape) {
        if (dim.is_static() && dim.value() < 1) {
            return fact(fmt::format("the dimension {} is below 1", dim.value()));
        }
    }
    return {};
}

Extent extent_of(const Dim& dim) {
    const std::optional<Extent> extent = dim.extent();
    if (!extent) internal_error("the dimension " + dim.to_string() + " reaches code generation");
    return *extent;
}

ScalarId scalar_constant(ScalarGraph& scalars, double value, DType type) {
    if (is_float(type)) return scalars.number(value, type);
    return scalars.integer(static_cast<std::int64_t>(value), type);
}

Index linear_index(const std::vector<Index>& index, const Shape& shape) {
    Index result = 0;
    std::int64_t stride = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
        result = result + index[i] * stride;
        if (!shape[i].is_static()) break;  // what is before it has extent 1: check_linear
        stride *= shape[i].value();
    }
    return result;
}

bool holds_batch(const Dim& dim) {
    const std::vector<std::string> symbols = dim.symbols();
    return std::find(symbols.begin(), symbols.end(), kBatchSymbol) != symbols.end();
}

Status check_linear(const Shape& shape) {
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] == Dim(1)) continue;
        for (std::size_t j = i + 1; j < shape.size(); ++j) {
            if (holds_batch(shape[j])) {
                return not_yet(fmt::format("{}, with {} behind another dimension,",
                                           Type{DType::f32, shape}.to_string(),
                                           shape[j].to_string()));
            }
        }
        break;
    }
    return {};
}

ScalarId truth(ScalarGraph& scalars, bool value) {
    return scalars.integer(value ? 1 : 0, DType::b1);
}

ScalarId is_nan(ScalarGraph& scalars, ScalarId value) {
    if (!is_float(scalars.type(value))) return truth(scalars, false);
    return scalars.unary(ScalarOp::logical_not, scalars.binary(ScalarOp::equal, value, value));
}

double lowest(DType type) {
    if (is_float(type)) return -std::numeric_limits<double>::infinity();
    if (type == DType::u8) return 0;
    double value = -1;
    for (std::int64_t bit = 1; bit < 8 * size_of(type); ++bit) value *= 2;
    return value;
}

ScalarId reduce_position_of_max(Lowering& lowering, ScalarId value, ScalarId position) {
    ScalarGraph& s = lowering.scalars();
    const DType type = s.type(value);
    const auto both = [&](ScalarId a, ScalarId b) { return s.binary(ScalarOp::logical_and, a, b); };
    const auto either = [&](ScalarId a, ScalarId b) {
        return s.binary(ScalarOp::logical_or, a, b);
    };
    const auto number = [&](ScalarId a) { return s.binary(ScalarOp::equal, a, a); };
    // Does b beat a, whatever their places?
    const auto beats = [&](ScalarId b, ScalarId a) {
        const ScalarId greater = s.binary(ScalarOp::less, a, b);
        if (!is_float(type)) return greater;
        return either(greater, both(is_nan(s, b), number(a)));
    };
    const ScalarId best = s.state(0, type);
    const ScalarId place = s.state(1, DType::i32);
    const ScalarId taken = beats(value, best);

    const ScalarId right = s.other(0, type);
    const ScalarId right_place = s.other(1, DType::i32);
    ScalarId equals = s.binary(ScalarOp::equal, best, right);
    if (is_float(type)) equals = either(equals, both(is_nan(s, best), is_nan(s, right)));
    const ScalarId earlier = both(equals, s.binary(ScalarOp::less, right_place, place));
    const ScalarId merged = either(beats(right, best), earlier);

    return lowering.reduce(
        {{type, lowest(type)}, {DType::i32, 0}},
        {s.select(taken, value, best), s.select(taken, position, place)},
        {s.select(merged, right, best), s.select(merged, right_place, place)})[1];
}

Integers behind(std::int64_t first, const Integers& rest, std::int64_t added) {
    Integers all{first};
    for (const std::int64_t each : rest) all.push_back(each + added);
    return all;
}

Type real(Shape shape) { return {DType::f32, std::move(shape)}; }
Type ints(Shape shape) { return {DType::i32, std::move(shape)}; }
Dim batch() { return Dim::symbol(kBatchSymbol); }

}  // namespace netc::ops
