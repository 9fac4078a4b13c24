#include "cli/section_data.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include <fmt/format.h>

#include "runtime/files/files.h"

namespace netc {
namespace {

std::vector<std::int64_t> all_rows(const Dataset& data) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(data.rows));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
}

}  // namespace

std::vector<std::string> SectionData::warnings() const {
    std::vector<std::string> all = train.warnings;
    for (const auto* part : {&valid, &test}) {
        if (*part) all.insert(all.end(), (*part)->warnings.begin(), (*part)->warnings.end());
    }
    return all;
}

std::vector<std::int64_t> classes_of(const Dataset& data, const std::string& field,
                                     const std::vector<std::int64_t>& rows) {
    std::vector<std::int64_t> classes;
    const Field* labels = find_field(data, field);
    for (const std::int64_t row : rows)
        classes.push_back(static_cast<std::int64_t>(element(*labels, row, 0)));
    return classes;
}

Result<std::optional<std::string>> read_kept_rows(const std::string& weights) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    const fs::path path(weights);
    const fs::path file = (fs::is_directory(path, ignored) ? path : path.parent_path()) / kRowsFile;
    if (!fs::exists(file, ignored)) return std::optional<std::string>{};
    Result<std::string> text = read_file(file.string());
    if (!text) return text.error();
    return std::optional(std::move(*text));
}

std::vector<std::string> class_counts(const Dataset& data) {
    std::vector<std::string> lines;
    for (const Field& field : data.fields) {
        const auto& counts = field.statistics.class_counts;
        if (counts.size() < 2 || counts.size() > 20 || field.sample_size() != 1) continue;
        std::string text;
        for (std::size_t i = 0; i < counts.size(); ++i)
            text += fmt::format("{}{} of class {}", i == 0 ? "" : ", ", counts[i], i);
        lines.push_back(fmt::format("`{}`: {}", field.name, text));
    }
    return lines;
}

Result<SectionData> load_section_data(const Model& model, const TrainSection& section,
                                      const Program& program, const Options& options,
                                      const DataStatistics* trained, const std::string* kept_rows) {
    if (!section.data) {
        return Error{kExitProgram,
                     fmt::format("train section `{}` has no `data`", section.name),
                     {},
                     "add for example `data = csv(\"points.csv\", x = cols(0, 1), y = col(2))`"};
    }
    const Entry* entry = program.find("train_step");
    if (entry == nullptr) entry = program.find("evaluate");
    const std::vector<FieldRequest> wanted = field_requests(*entry, model);
    LoadOptions load_options;
    load_options.root = data_root(options);
    load_options.split = section.split ? &*section.split : nullptr;
    load_options.trained = trained;
    load_options.kept_split = kept_rows;

    SectionData data;
    Result<Dataset> train = load(*section.data, wanted, load_options);
    if (!train) return train.error();
    data.train = std::move(*train);
    data.train_rows = data.train.split.train.empty() && !section.split ? all_rows(data.train)
                                                                       : data.train.split.train;
    data.valid_rows = data.train.split.valid;
    data.test_rows = data.train.split.test;

    const DataStatistics own = trained != nullptr ? *trained : statistics_of(data.train);
    load_options.trained = &own;
    load_options.split = nullptr;
    auto load_part = [&](const std::optional<DataSource>& source, std::optional<Dataset>& into,
                         std::vector<std::int64_t>& rows) -> Status {
        if (!source) return {};
        Result<Dataset> part = load(*source, wanted, load_options);
        if (!part) return part.error();
        into = std::move(*part);
        rows = all_rows(*into);
        return {};
    };
    if (Status s = load_part(section.valid, data.valid, data.valid_rows); !s) return s.error();
    // Test data are for the end: nothing else looks at them.
    const bool test = options.on == "test";
    Status tested = test ? load_part(section.test, data.test, data.test_rows) : Status{};
    if (!tested) return tested.error();
    return data;
}

}  // namespace netc
