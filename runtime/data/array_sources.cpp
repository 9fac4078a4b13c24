// Inline values, idx and npy as fields.
#include "runtime/data/array_sources.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/data/convert.h"
#include "runtime/data/idx.h"
#include "runtime/files/gzip.h"

namespace netc {
namespace {

std::string shape_text(std::span<const std::int64_t> shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i)
        text += fmt::format("{}{}", i == 0 ? "" : ", ", shape[i]);
    return text + "]";
}

// float to float, int to float and widening ints always convert; narrowing ints when all values
// fit; float to int never.
Status check_conversion(const Field& field, const std::string& origin) {
    const DType from = field.stored, to = field.dtype;
    const bool from_int = !is_float(from);
    if (is_float(to) || from == to) return {};
    if (!from_int) {
        return Error{.message = fmt::format("`{}` is {}, but {} holds {} numbers", field.name,
                                            name_of(to), origin, name_of(from)),
                     .help =
                         "a number with a fraction is not made an int silently; convert the data"};
    }
    const IntRange inner = range_of(from), outer = range_of(to);
    if (inner.low >= outer.low && inner.high <= outer.high) return {};
    const std::int64_t size = size_of(from);
    for (std::size_t at = 0; at < field.values.size(); at += static_cast<std::size_t>(size)) {
        const double value = load_number(from, field.values.data() + at);
        if (fits_int(value, to)) continue;
        const std::int64_t row = static_cast<std::int64_t>(at) / (size * field.sample_size());
        return Error{.message = fmt::format("`{}` in row {} of {} is {}, which does not fit {}",
                                            field.name, row, origin, value, name_of(to))};
    }
    return {};
}

Array array_of(const InlineValues& values, DType dtype) {
    // Ints stay ints where an int is wanted; a fraction then fails like that of a file.
    const bool as_int =
        !is_float(dtype) && std::all_of(values.values.begin(), values.values.end(),
                                        [&](double value) { return fits_int(value, dtype); });
    Array array{as_int ? dtype : DType::f64, values.shape, {}};
    if (is_float(dtype)) array.dtype = dtype;
    const std::int64_t size = size_of(array.dtype);
    array.bytes.resize(values.values.size() * static_cast<std::size_t>(size));
    std::byte* out = array.bytes.data();
    for (const double value : values.values) {
        store_number(array.dtype, value, out);
        out += size;
    }
    return array;
}

Result<Array> read_array(const DataSource& source, const SourceField& field, DType dtype,
                         const std::string& root, std::string& origin) {
    if (source.kind == SourceKind::inline_values) {
        origin = "the inline data";
        return array_of(field.values, dtype);
    }
    Result<DataFile> file = read_data_file(root, field.path);
    if (!file) return std::move(file).error();
    origin = file->path;
    if (source.kind == SourceKind::idx) return parse_idx(file->bytes, file->path);
    return parse_npy(std::as_bytes(std::span(file->bytes.data(), file->bytes.size())), file->path);
}

}  // namespace

Result<Field> field_from_array(Array array, const FieldRequest& request,
                               const std::string& origin) {
    Field field;
    field.name = request.name;
    field.dtype = request.dtype;
    field.stored = array.dtype;
    field.sample_shape = request.sample_shape;
    if (array.shape.empty()) {
        return Error{.message =
                         fmt::format("{} holds a single number, but `{}` needs a row per sample",
                                     origin, request.name)};
    }
    std::int64_t elements = 1;
    for (std::size_t i = 1; i < array.shape.size(); ++i) elements *= array.shape[i];
    if (elements != field.sample_size()) {
        const std::span<const std::int64_t> sample = std::span(array.shape).subspan(1);
        return Error{.message = fmt::format(
                         "{} has {} number{} per sample (shape {}), but `{}` takes {} (shape {})",
                         origin, elements, elements == 1 ? "" : "s", shape_text(sample),
                         request.name, field.sample_size(), shape_text(request.sample_shape))};
    }
    field.values = std::move(array.bytes);
    if (Status status = check_conversion(field, origin); !status) return status.error();
    return field;
}

Result<std::vector<LoadedField>> read_arrays(const DataSource& source,
                                             const std::vector<FieldRequest>& wanted,
                                             const std::string& root) {
    std::vector<LoadedField> fields;
    std::int64_t rows = -1;
    std::string first_origin;
    for (const FieldRequest& request : wanted) {
        const auto found =
            std::find_if(source.fields.begin(), source.fields.end(),
                         [&](const SourceField& f) { return f.name == request.name; });
        if (found == source.fields.end()) {
            return Error{.message = fmt::format("nothing in `data` supplies `{}`", request.name)};
        }
        std::string origin;
        Result<Array> array = read_array(source, *found, request.dtype, root, origin);
        if (!array) return std::move(array).error();
        const std::int64_t count = array->shape.empty() ? 0 : array->shape[0];
        Result<Field> field = field_from_array(std::move(*array), request, origin);
        if (!field) return std::move(field).error();
        if (rows >= 0 && count != rows) {
            return Error{.message = fmt::format("`{}` has {} samples ({}), but `{}` has {} ({})",
                                                request.name, count, origin, wanted[0].name, rows,
                                                first_origin)};
        }
        if (rows < 0) first_origin = origin;
        rows = count;
        const bool standardize =
            source.standardize && request.role == FieldRole::input && is_float(request.dtype);
        std::vector<bool> mask;
        if (standardize) mask.assign(static_cast<std::size_t>(field->sample_size()), true);
        fields.push_back({std::move(*field), std::move(mask), origin});
    }
    return fields;
}

}  // namespace netc
