// From a source to a data set: read, choose rows, split, encode, check, learn. A csv file is split
// before it is encoded, because categories and fill-in means come from the training rows;
// everything else is read first.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <numeric>
#include <stdexcept>

#include "runtime/data/array_sources.h"
#include "runtime/data/csv_source.h"
#include "runtime/data/dataset.h"
#include "runtime/data/file_sources.h"
#include "runtime/data/generators.h"
#include "runtime/data/split.h"
#include "runtime/data/statistics.h"

namespace netc {
namespace {

bool is_generator(SourceKind kind) {
    switch (kind) {
        case SourceKind::xor_gate:
        case SourceKind::circles:
        case SourceKind::gauss:
        case SourceKind::spiral:
        case SourceKind::moons:
        case SourceKind::digits:
        case SourceKind::function: return true;
        case SourceKind::inline_values:
        case SourceKind::csv:
        case SourceKind::idx:
        case SourceKind::npy:
        case SourceKind::npz:
        case SourceKind::images:
        case SourceKind::text:
        case SourceKind::series:
        case SourceKind::cifar: return false;
    }
    return false;
}

// The rows that `shuffle` and `limit` leave, in their order; empty where that is all of them as
// they are.
std::vector<std::int64_t> chosen_rows(const DataSource& source, std::int64_t rows) {
    const std::int64_t limit = std::min(source.limit.value_or(rows), rows);
    if (!source.shuffle && limit == rows) return {};
    std::vector<std::int64_t> chosen(static_cast<std::size_t>(rows));
    std::iota(chosen.begin(), chosen.end(), 0);
    if (source.shuffle) chosen = epoch_order(rows, source.seed, ~std::uint64_t{0});
    chosen.resize(static_cast<std::size_t>(limit));
    return chosen;
}

void choose(Field& field, const std::vector<std::int64_t>& rows) {
    if (field.reader) {
        field.reader = field.reader->select(rows);
        return;
    }
    const std::int64_t bytes = field.sample_size() * size_of(field.stored);
    std::vector<std::byte> values(rows.size() * static_cast<std::size_t>(bytes));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::memcpy(values.data() + static_cast<std::int64_t>(i) * bytes,
                    field.values.data() + rows[i] * bytes, static_cast<std::size_t>(bytes));
    }
    field.values = std::move(values);
}

// A number per row, equal where the field's samples are.
Result<std::vector<std::int64_t>> keys_of(const std::vector<LoadedField>& fields,
                                          const std::string& name, std::int64_t rows) {
    for (const LoadedField& loaded : fields) {
        const Field& field = loaded.field;
        if (field.name != name || field.reader) continue;
        const auto bytes = static_cast<std::size_t>(field.sample_size() * size_of(field.stored));
        std::map<std::string_view, std::int64_t> ids;
        std::vector<std::int64_t> keys;
        for (std::int64_t row = 0; row < rows; ++row) {
            const auto* sample = reinterpret_cast<const char*>(field.values.data()) +
                                 static_cast<std::size_t>(row) * bytes;
            const auto id = static_cast<std::int64_t>(ids.size());
            keys.push_back(ids.try_emplace(std::string_view(sample, bytes), id).first->second);
        }
        return keys;
    }
    return Error{.message = fmt::format("the split names `{}`, which the data do not hold", name)};
}

// KeysOf: name -> keys. Without a split every row trains. `groups`: what the source itself keeps
// together, unless the split names a field for that.
template <class KeysOf>
Result<Split> split_rows(const LoadOptions& options, std::int64_t rows,
                         std::vector<std::int64_t> groups, KeysOf&& keys_for) {
    const SplitSpec* spec = options.split;
    if (spec != nullptr && options.kept_split != nullptr) {
        return split_from_text(*options.kept_split, rows);
    }
    if (spec == nullptr) {
        Split split;
        split.train.resize(static_cast<std::size_t>(rows));
        std::iota(split.train.begin(), split.train.end(), 0);
        return split;
    }
    std::vector<std::int64_t> strata;
    for (const auto& [name, keys] :
         {std::pair(&spec->stratify, &strata), std::pair(&spec->group, &groups)}) {
        if (name->empty()) continue;
        Result<std::vector<std::int64_t>> found = keys_for(*name);
        if (!found) return std::move(found).error();
        *keys = std::move(*found);
    }
    return make_split(*spec, rows, strata, groups);
}

Result<Dataset> finish(const DataSource& source, const std::vector<FieldRequest>& wanted,
                       const LoadOptions& options, std::int64_t rows, Split split,
                       std::vector<LoadedField> fields, const PlaceOfRow& place) {
    Dataset dataset;
    dataset.rows = rows;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        Status checked = check_values(wanted[i], fields[i].field, fields[i].origin, place);
        if (!checked) return checked.error();
        Status learned =
            learn_statistics(source, wanted[i], split.train, options.trained, fields[i]);
        if (!learned) return learned.error();
        auto warning = options.trained != nullptr ? warn_far_outside(fields[i].field)
                                                  : warn_imbalance(fields[i].field);
        if (warning) dataset.warnings.push_back(std::move(*warning));
        dataset.fields.push_back(std::move(fields[i].field));
    }
    dataset.split = std::move(split);
    dataset.fingerprint = fingerprint_of(dataset.fields);
    return dataset;
}

Result<Dataset> load_csv(const DataSource& source, const std::vector<FieldRequest>& wanted,
                         const LoadOptions& options) {
    Result<CsvSource> csv = CsvSource::open(source, wanted, options.root, options.inputs_only);
    if (!csv) return std::move(csv).error();
    const auto chosen = chosen_rows(source, csv->rows());
    if (!chosen.empty()) csv->select(chosen);
    Result<Split> split = split_rows(options, csv->rows(), {},
                                     [&](const std::string& name) { return csv->keys(name); });
    if (!split) return std::move(split).error();
    // Rows to predict are no training rows: nothing is learned from them.
    static const DataStatistics kNothing;
    const bool untrained = options.inputs_only && options.trained == nullptr;
    if (untrained && csv->has_categories()) {
        return Error{.message = fmt::format("the weights do not know the categories of {}: they "
                                            "were not trained on this section's data",
                                            source.path),
                     .help = "weights that `netc train` writes hold them"};
    }
    Result<std::vector<LoadedField>> fields =
        csv->encode(split->train, untrained ? &kNothing : options.trained);
    if (!fields) return std::move(fields).error();
    return finish(source, wanted, options, csv->rows(), std::move(*split), std::move(*fields),
                  [&](std::int64_t row) { return std::optional(csv->place_of_row(row)); });
}

// Everything but csv: read as a whole, then split.
Result<LoadedSource> read_source(const DataSource& source, const std::vector<FieldRequest>& wanted,
                                 const LoadOptions& options) {
    const auto fields = [](Result<std::vector<LoadedField>> read) -> Result<LoadedSource> {
        if (!read) return std::move(read).error();
        return LoadedSource{std::move(*read), {}, {}};
    };
    switch (source.kind) {
        case SourceKind::inline_values:
        case SourceKind::idx:
        case SourceKind::npy: return fields(read_arrays(source, wanted, options.root));
        case SourceKind::npz: return fields(read_npz(source, wanted, options.root));
        case SourceKind::cifar: return fields(read_cifar(source, wanted, options.root));
        case SourceKind::xor_gate:
        case SourceKind::circles:
        case SourceKind::gauss:
        case SourceKind::spiral:
        case SourceKind::moons:
        case SourceKind::digits:
        case SourceKind::function: return fields(generate(source, wanted));
        case SourceKind::text:
            return fields(read_text(source, wanted, options.root, options.trained));
        case SourceKind::images: return read_images(source, wanted, options.root, options.trained);
        case SourceKind::series: return read_series(source, wanted, options.root, options.trained);
        case SourceKind::csv: break;
    }
    return Error{.status = kExitInternal, .message = "a table is no array"};
}

Result<Dataset> load_arrays(const DataSource& source, const std::vector<FieldRequest>& wanted,
                            const LoadOptions& options) {
    Result<LoadedSource> loaded_source = read_source(source, wanted, options);
    if (!loaded_source) return std::move(loaded_source).error();
    std::vector<LoadedField>& fields = loaded_source->fields;
    std::int64_t rows = fields.empty() ? 0 : fields[0].field.rows();
    if (rows == 0) return Error{.message = "the data hold no samples"};
    std::vector<std::int64_t>& groups = loaded_source->groups;
    const auto chosen = chosen_rows(source, rows);
    if (!chosen.empty()) {
        for (LoadedField& loaded : fields) choose(loaded.field, chosen);
        rows = static_cast<std::int64_t>(chosen.size());
        std::vector<std::int64_t> chosen_groups;
        for (const std::int64_t row : chosen) {
            if (!groups.empty()) chosen_groups.push_back(groups[static_cast<std::size_t>(row)]);
        }
        groups = std::move(chosen_groups);
    }
    if (is_generator(source.kind) && source.standardize) {
        for (std::size_t i = 0; i < fields.size(); ++i) {
            LoadedField& loaded = fields[i];
            if (wanted[i].role != FieldRole::input || !is_float(wanted[i].dtype)) continue;
            loaded.standardize.assign(static_cast<std::size_t>(loaded.field.sample_size()), true);
        }
    }
    Result<Split> split =
        split_rows(options, rows, std::move(groups),
                   [&](const std::string& name) { return keys_of(fields, name, rows); });
    if (!split) return std::move(split).error();
    Result<Dataset> data = finish(source, wanted, options, rows, std::move(*split),
                                  std::move(fields), [](std::int64_t) { return std::nullopt; });
    if (data) {
        for (std::string& warning : loaded_source->warnings)
            data->warnings.push_back(std::move(warning));
    }
    return data;
}

Result<Dataset> load_checked(const DataSource& source, std::vector<FieldRequest> wanted,
                             const LoadOptions& options) {
    if (options.inputs_only) {
        std::erase_if(
            wanted, [](const FieldRequest& request) { return request.role == FieldRole::target; });
    }
    if (source.limit && *source.limit < 1) {
        return Error{.message = fmt::format("`limit` must be at least 1, not {}", *source.limit)};
    }
    if (source.kind == SourceKind::csv) return load_csv(source, wanted, options);
    return load_arrays(source, wanted, options);
}

}  // namespace

Result<Dataset> load(const DataSource& source, const std::vector<FieldRequest>& wanted,
                     const LoadOptions& options) {
    try {
        return load_checked(source, wanted, options);
    } catch (const std::bad_alloc&) {
        return Error{.status = kExitRun, .message = "there is not enough memory to load the data"};
    } catch (const std::length_error&) {
        return Error{.status = kExitRun, .message = "there is not enough memory to load the data"};
    }
}

Result<Dataset> load_rows(DataSource source, const std::string& path,
                          const std::vector<FieldRequest>& wanted, const LoadOptions& options) {
    if (source.kind != SourceKind::csv) {
        return Error{.status = kExitUsage,
                     .message =
                         "rows from a csv file need a section whose data are a csv file, for its "
                         "selectors"};
    }
    source.path = path;
    source.limit.reset();
    source.shuffle = false;
    LoadOptions own = options;
    own.split = nullptr;
    own.root.clear();  // the path is as the user gave it
    own.inputs_only = true;
    return load(source, wanted, own);
}

}  // namespace netc
