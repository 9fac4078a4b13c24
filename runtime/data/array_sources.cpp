// Inline values, idx, npy, npz and CIFAR-10 as fields.
#include "runtime/data/array_sources.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/data/convert.h"
#include "runtime/data/idx.h"
#include "runtime/files/find_files.h"
#include "runtime/files/gzip.h"
#include "runtime/files/npz.h"

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
    const auto all_fit = [&](DType wanted) {
        return std::ranges::all_of(values.values,
                                   [&](double value) { return fits_int(value, wanted); });
    };
    // Ints stay ints where an int is wanted; a fraction then fails like that of a file, and so does
    // an int that the type does not hold.
    Array array{DType::f64, values.shape, {}};
    if (is_float(dtype) || all_fit(dtype)) {
        array.dtype = dtype;
    } else if (all_fit(DType::i64)) {
        array.dtype = DType::i64;
    }
    const std::int64_t size = size_of(array.dtype);
    array.bytes.resize(values.values.size() * static_cast<std::size_t>(size));
    std::byte* out = array.bytes.data();
    for (const double value : values.values) {
        store_number(array.dtype, value, out);
        out += size;
    }
    return array;
}

Result<NamedArray> read_array(const DataSource& source, const SourceField& field, DType dtype,
                              const std::string& root) {
    if (source.kind == SourceKind::inline_values) {
        return NamedArray{array_of(field.values, dtype), "the inline data"};
    }
    Result<DataFile> file = read_data_file(root, field.path);
    if (!file) return std::move(file).error();
    Result<Array> array =
        source.kind == SourceKind::idx
            ? parse_idx(file->bytes, file->path)
            : parse_npy(std::as_bytes(std::span(file->bytes.data(), file->bytes.size())),
                        file->path);
    if (!array) return std::move(array).error();
    return NamedArray{std::move(*array), file->path};
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

Result<const SourceField*> find_source_field(const DataSource& source, const std::string& name) {
    for (const SourceField& field : source.fields) {
        if (field.name == name) return &field;
    }
    return Error{.message = fmt::format("nothing in `data` supplies `{}`", name)};
}

Result<std::vector<LoadedField>>
fields_from_arrays(const DataSource& source, const std::vector<FieldRequest>& wanted,
                   const std::function<Result<NamedArray>(std::size_t)>& array_of) {
    std::vector<LoadedField> fields;
    std::int64_t rows = -1;
    std::string first_origin;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const FieldRequest& request = wanted[i];
        Result<NamedArray> named = array_of(i);
        if (!named) return std::move(named).error();
        const std::string& origin = named->origin;
        const std::int64_t count = named->array.shape.empty() ? 0 : named->array.shape[0];
        Result<Field> field = field_from_array(std::move(named->array), request, origin);
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

Result<std::vector<LoadedField>> read_arrays(const DataSource& source,
                                             const std::vector<FieldRequest>& wanted,
                                             const std::string& root) {
    return fields_from_arrays(source, wanted, [&](std::size_t i) -> Result<NamedArray> {
        const Result<const SourceField*> field = find_source_field(source, wanted[i].name);
        if (!field) return field.error();
        return read_array(source, **field, wanted[i].dtype, root);
    });
}

Result<std::vector<LoadedField>> read_npz(const DataSource& source,
                                          const std::vector<FieldRequest>& wanted,
                                          const std::string& root) {
    Result<DataFile> file = read_data_file(root, source.path);
    if (!file) return std::move(file).error();
    const Result<NpzFile> archive = NpzFile::open(std::move(file->bytes), file->path);
    if (!archive) return archive.error();
    return fields_from_arrays(source, wanted, [&](std::size_t i) -> Result<NamedArray> {
        const Result<const SourceField*> field = find_source_field(source, wanted[i].name);
        if (!field) return field.error();
        Result<Array> array = archive->read((*field)->path);
        if (!array) return std::move(array).error();
        return NamedArray{std::move(*array), fmt::format("{} ({})", file->path, (*field)->path)};
    });
}

// Records of a label and 32 x 32 pixels, all red ones, all green ones, all blue ones.
Result<std::vector<LoadedField>> read_cifar(const DataSource& source,
                                            const std::vector<FieldRequest>& wanted,
                                            const std::string& root) {
    constexpr std::size_t kPixels = 3 * 32 * 32, kRecord = 1 + kPixels;
    std::vector<std::string> patterns = source.paths;
    patterns.insert(patterns.begin(), source.path);
    std::vector<std::byte> images, labels;
    for (const std::string& pattern : patterns) {
        const Result<std::vector<std::string>> paths = find_files(root, pattern);
        if (!paths) return paths.error();
        for (const std::string& path : *paths) {
            const Result<DataFile> file = read_data_file("", path);
            if (!file) return file.error();
            const std::string& bytes = file->bytes;
            if (bytes.empty() || bytes.size() % kRecord != 0) {
                return Error{.message = fmt::format(
                                 "{} is not a batch of CIFAR-10: its {} bytes are no whole number "
                                 "of records of {}",
                                 file->path, bytes.size(), kRecord)};
            }
            const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
            for (std::size_t at = 0; at < bytes.size(); at += kRecord) {
                labels.push_back(begin[at]);
                images.insert(images.end(), begin + at + 1, begin + at + kRecord);
            }
        }
    }
    const auto rows = static_cast<std::int64_t>(labels.size());
    const std::string origin = patterns.size() == 1 ? patterns[0] : patterns[0] + ", ...";
    return fields_from_arrays(source, wanted, [&](std::size_t i) -> Result<NamedArray> {
        const Result<const SourceField*> field = find_source_field(source, wanted[i].name);
        if (!field) return field.error();
        if ((*field)->part == FieldPart::label) {
            return NamedArray{{DType::u8, {rows}, labels}, origin};
        }
        return NamedArray{{DType::u8, {rows, 3, 32, 32}, images}, origin};
    });
}

}  // namespace netc
