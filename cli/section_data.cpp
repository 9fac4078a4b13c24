#include "cli/section_data.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

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

Result<SectionData> load_section_data(const Model& model, const TrainSection& section,
                                      const Program& program, const Options& options,
                                      const DataStatistics* trained) {
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
    if (Status s = load_part(section.test, data.test, data.test_rows); !s) return s.error();
    return data;
}

}  // namespace netc
