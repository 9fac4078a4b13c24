// Point clouds in the plane, digits, and samples of a function.
#include "runtime/data/generators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/data/convert.h"

namespace netc {
namespace {

constexpr std::uint32_t kPointStream = 0x706f696e;     // "poin"
constexpr std::uint32_t kDigitStream = 0x64696769;     // "digi"
constexpr std::uint32_t kFunctionStream = 0x66756e63;  // "func"

struct Point {
    double x = 0, y = 0;
    int label = 0;
};

// A row's point. Classes alternate, so that every stretch of rows holds both.
Point make_point(SourceKind kind, std::int64_t row, double noise, PhiloxStream& random) {
    const int label = static_cast<int>(row % 2);
    Point point{0, 0, label};
    switch (kind) {
        case SourceKind::xor_gate: {  // the four corners of the unit square in turn
            const int corner = static_cast<int>(row % 4);
            point.x = corner / 2;
            point.y = corner % 2;
            point.label = corner / 2 != corner % 2;
            break;
        }
        case SourceKind::circles: {  // radius 1 is class 0, radius 1/2 class 1
            const double turn = random.uniform();
            const double radius = label == 0 ? 1.0 : 0.5;
            point.x = radius * cos_turns(turn);
            point.y = radius * sin_turns(turn);
            break;
        }
        case SourceKind::gauss:  // two clouds around (-1, -1) and (1, 1)
            point.x = point.y = label == 0 ? -1 : 1;
            break;
        case SourceKind::spiral: {  // two arms of one and a half turns
            const double along = random.uniform();
            const double radius = 0.1 + 0.9 * along;
            const double turn = 1.5 * along + 0.5 * label;
            point.x = radius * cos_turns(turn);
            point.y = radius * sin_turns(turn);
            break;
        }
        case SourceKind::moons: {  // two half circles that reach into each other
            const double turn = 0.5 * random.uniform();
            point.x = label == 0 ? cos_turns(turn) : 1.0 - cos_turns(turn);
            point.y = label == 0 ? sin_turns(turn) : 0.5 - sin_turns(turn);
            break;
        }
        case SourceKind::inline_values:
        case SourceKind::csv:
        case SourceKind::idx:
        case SourceKind::npy:
        case SourceKind::digits:
        case SourceKind::function:
        case SourceKind::npz:
        case SourceKind::images:
        case SourceKind::text:
        case SourceKind::series:
        case SourceKind::cifar: break;
    }
    point.x += noise * bell(random);
    point.y += noise * bell(random);
    return point;
}

double default_noise(SourceKind kind) {
    if (kind == SourceKind::gauss) return 0.5;
    if (kind == SourceKind::circles) return 0.05;
    if (kind == SourceKind::spiral) return 0.02;
    return 0.1;  // xor, moons, digits
}

Error wrong_shape(const FieldRequest& request, std::string_view wanted) {
    std::int64_t size = 1;
    for (const std::int64_t extent : request.sample_shape) size *= extent;
    return {.message = fmt::format(
                "the generated `{}` {}, but the program asks for {} {}{} per sample", request.name,
                wanted, size, name_of(request.dtype), size == 1 ? "" : " numbers")};
}

Field empty_field(const FieldRequest& request, std::int64_t rows) {
    Field field;
    field.name = request.name;
    field.dtype = field.stored = request.dtype;
    field.sample_shape = request.sample_shape;
    field.values.resize(static_cast<std::size_t>(rows * field.sample_bytes()));
    return field;
}

// A class as a number, or one-hot.
void store_label(Field& field, std::int64_t row, int label, std::int64_t classes) {
    std::byte* out = field.values.data() + row * field.sample_bytes();
    if (field.sample_size() == 1) return store_number(field.stored, label, out);
    for (std::int64_t i = 0; i < classes; ++i, out += size_of(field.stored)) {
        store_number(field.stored, i == label ? 1 : 0, out);
    }
}

// The fields of x and y, checked; either may be absent.
struct Wanted {
    Field* x = nullptr;
    Field* y = nullptr;
};

Result<Wanted> make_fields(const DataSource& source, const std::vector<FieldRequest>& wanted,
                           std::int64_t inputs, std::int64_t classes,
                           std::vector<LoadedField>& fields) {
    fields.reserve(wanted.size());
    Wanted result;
    for (const FieldRequest& request : wanted) {
        Field field = empty_field(request, source.count);
        if (request.name == "x") {
            if (field.sample_size() != inputs || !is_float(request.dtype)) {
                return wrong_shape(request,
                                   fmt::format("holds {} real numbers per sample", inputs));
            }
        } else if (request.name == "y") {
            const bool one_hot = field.sample_size() == classes && is_float(request.dtype);
            if (field.sample_size() != 1 && !one_hot) {
                return wrong_shape(request, fmt::format("is a class from 0 to {}", classes - 1));
            }
        } else {
            return Error{.message = fmt::format("the generator supplies `x` and `y`, not `{}`",
                                                request.name)};
        }
        fields.push_back({std::move(field), {}, "the generated data"});
        (request.name == "x" ? result.x : result.y) = &fields.back().field;
    }
    return result;
}

Result<std::vector<LoadedField>> generate_points(const DataSource& source,
                                                 const std::vector<FieldRequest>& wanted) {
    std::vector<LoadedField> fields;
    const Result<Wanted> made = make_fields(source, wanted, 2, 2, fields);
    if (!made) return made.error();
    const double noise = source.noise.value_or(default_noise(source.kind));
    for (std::int64_t row = 0; row < source.count; ++row) {
        PhiloxStream random(source.seed, kPointStream, static_cast<std::uint64_t>(row));
        const Point point = make_point(source.kind, row, noise, random);
        if (made->x != nullptr) {
            std::byte* out = made->x->values.data() + row * made->x->sample_bytes();
            store_number(made->x->stored, point.x, out);
            store_number(made->x->stored, point.y, out + size_of(made->x->stored));
        }
        if (made->y != nullptr) store_label(*made->y, row, point.label, 2);
    }
    return fields;
}

Result<std::vector<LoadedField>> generate_digits(const DataSource& source,
                                                 const std::vector<FieldRequest>& wanted) {
    std::vector<LoadedField> fields;
    const Result<Wanted> made = make_fields(source, wanted, 784, 10, fields);
    if (!made) return made.error();
    const double noise = source.noise.value_or(default_noise(source.kind));
    std::array<float, 784> image{};
    for (std::int64_t row = 0; row < source.count; ++row) {
        PhiloxStream random(source.seed, kDigitStream, static_cast<std::uint64_t>(row));
        const int digit = static_cast<int>(random.below(10));
        if (made->y != nullptr) store_label(*made->y, row, digit, 10);
        if (made->x == nullptr) continue;
        draw_digit(digit, noise, random, image);
        std::byte* out = made->x->values.data() + row * made->x->sample_bytes();
        for (const float ink : image) {
            store_number(made->x->stored, static_cast<double>(ink), out);
            out += size_of(made->x->stored);
        }
    }
    return fields;
}

// Uniform over the ranges of `over`; y is the function of x, with noise.
Result<std::vector<LoadedField>> generate_function(const DataSource& source,
                                                   const std::vector<FieldRequest>& wanted) {
    std::vector<LoadedField> fields;
    const auto inputs = static_cast<std::int64_t>(source.over.size());
    fields.reserve(wanted.size());
    Field *x = nullptr, *y = nullptr;
    for (const FieldRequest& request : wanted) {
        Field field = empty_field(request, source.count);
        const bool known = request.name == "x" || request.name == "y";
        if (!known) {
            return Error{.message = fmt::format("the generator supplies `x` and `y`, not `{}`",
                                                request.name)};
        }
        if (!is_float(request.dtype) || (request.name == "x" && field.sample_size() != inputs)) {
            return wrong_shape(request,
                               fmt::format("holds real numbers, {} of them for `x`", inputs));
        }
        fields.push_back({std::move(field), {}, "the generated data"});
        (request.name == "x" ? x : y) = &fields.back().field;
    }
    const double noise = source.noise.value_or(0);
    std::vector<double> sample(static_cast<std::size_t>(inputs));
    for (std::int64_t row = 0; row < source.count; ++row) {
        PhiloxStream random(source.seed, kFunctionStream, static_cast<std::uint64_t>(row));
        for (std::size_t i = 0; i < sample.size(); ++i) {
            sample[i] = random.uniform(source.over[i].first, source.over[i].second);
            if (x == nullptr) continue;
            // What the model sees is what the function was computed from, rounding included.
            std::byte* out = x->values.data() + row * x->sample_bytes() +
                             static_cast<std::int64_t>(i) * size_of(x->stored);
            store_number(x->stored, sample[i], out);
            sample[i] = load_number(x->stored, out);
        }
        if (y == nullptr) continue;
        const Result<std::vector<double>> value = source.function(sample);
        if (!value) return value.error();
        if (static_cast<std::int64_t>(value->size()) != y->sample_size()) {
            return wrong_shape(wanted[0].name == "y" ? wanted[0] : wanted.back(),
                               fmt::format("holds {} numbers per sample", value->size()));
        }
        std::byte* out = y->values.data() + row * y->sample_bytes();
        for (const double number : *value) {
            store_number(y->stored, number + (noise > 0 ? noise * bell(random) : 0), out);
            out += size_of(y->stored);
        }
    }
    return fields;
}

}  // namespace

double sin_turns(double t) {
    t -= std::floor(t + 0.5);  // -1/2 .. 1/2
    if (t > 0.25) t = 0.5 - t;
    if (t < -0.25) t = -0.5 - t;
    // Taylor's series of sine at |a| <= pi / 2: the first term left out is below 1e-11.
    const double a = 6.283185307179586 * t;
    const double s = a * a;
    double sum = 1.0 / 6227020800.0;
    sum = sum * s - 1.0 / 39916800.0;
    sum = sum * s + 1.0 / 362880.0;
    sum = sum * s - 1.0 / 5040.0;
    sum = sum * s + 1.0 / 120.0;
    sum = sum * s - 1.0 / 6.0;
    return a + a * s * sum;
}

double cos_turns(double t) { return sin_turns(t + 0.25); }

double bell(PhiloxStream& random) {
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(uniform_float(random.bits()));
    return sum - 6.0;
}

Result<std::vector<LoadedField>> generate(const DataSource& source,
                                          const std::vector<FieldRequest>& wanted) {
    if (source.count < 1 || source.count > 100'000'000) {
        return Error{.message = fmt::format(
                         "a generator makes from 1 to 100,000,000 samples, not {}", source.count)};
    }
    if (source.noise && !(*source.noise >= 0 && *source.noise <= 1000)) {
        return Error{.message = fmt::format("noise must be from 0 to 1000, not {}", *source.noise)};
    }
    if (source.kind == SourceKind::digits) return generate_digits(source, wanted);
    if (source.kind == SourceKind::function) {
        if (source.function) return generate_function(source, wanted);
        return Error{.status = kExitInternal, .message = "a function source without its function"};
    }
    return generate_points(source, wanted);
}

}  // namespace netc
