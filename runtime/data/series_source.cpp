// Tables of measurements over time, cut into windows.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "runtime/data/array_sources.h"
#include "runtime/data/convert.h"
#include "runtime/data/file_sources.h"
#include "runtime/data/selector_text.h"
#include "runtime/data/utf8_check.h"
#include "runtime/files/find_files.h"

namespace netc {
namespace {

constexpr const char* kFolder = "folder";

std::string folder_of(const std::string& path) {
    return std::filesystem::path(path).parent_path().filename().string();
}

// What of the windows of a file goes into one field.
struct Plan {
    const SourceField* field = nullptr;
    FieldRequest columns;       // of the table: a row's values
    std::int64_t channels = 0;  // values of a row
    std::int64_t steps = 0;     // rows of a sample
    std::int64_t first = 0;     // where they begin in the window
};

Result<Plan> plan_of(const DataSource& source, const SourceField& field,
                     const FieldRequest& request) {
    Plan plan{&field, request, 1, 1, source.window - 1};
    std::int64_t elements = 1;
    for (const std::int64_t extent : request.sample_shape) elements *= extent;
    // An input is a window; a target is the value at its end, or the rows that follow it.
    const bool input = request.role == FieldRole::input && field.part == FieldPart::columns;
    if (input || field.part == FieldPart::following) {
        plan.steps = input ? source.window : field.ahead;
        plan.first = input ? 0 : source.window;
        if (elements % plan.steps != 0) {
            return Error{.message = fmt::format("`{}` takes [{}], which is no number of channels "
                                                "times {} rows",
                                                request.name, fmt::join(request.sample_shape, ", "),
                                                plan.steps)};
        }
    }
    plan.channels = elements / plan.steps;
    plan.columns.sample_shape = {plan.channels};
    plan.columns.classes.reset();
    plan.columns.ranges.clear();
    return plan;
}

// [channels, steps] out of rows of channels.
void cut_window(const Field& rows, const Plan& plan, std::int64_t start, std::byte* out) {
    const std::int64_t size = size_of(rows.stored);
    for (std::int64_t c = 0; c < plan.channels; ++c) {
        for (std::int64_t t = 0; t < plan.steps; ++t, out += size) {
            const std::int64_t at = (start + plan.first + t) * plan.channels + c;
            std::memcpy(out, rows.values.data() + at * size, static_cast<std::size_t>(size));
        }
    }
}

// The selector of the columns that `following` continues: the first input's.
const SourceField* followed(const DataSource& source, const std::vector<FieldRequest>& wanted) {
    for (const FieldRequest& request : wanted) {
        for (const SourceField& field : source.fields) {
            const bool input = request.role == FieldRole::input && field.name == request.name;
            if (input && field.part == FieldPart::columns) return &field;
        }
    }
    return nullptr;
}

}  // namespace

Result<LoadedSource> read_series(const DataSource& source, const std::vector<FieldRequest>& wanted,
                                 const std::string& root, const DataStatistics* trained) {
    const Result<std::vector<std::string>> paths = find_files(root, source.path);
    if (!paths) return paths.error();
    LoadedSource loaded;
    std::vector<Plan> plans;
    std::vector<FieldRequest> columns;  // what is read from each table
    DataSource table = source;
    table.kind = SourceKind::csv;
    std::int64_t needed = source.window;
    std::set<std::string> folders;
    for (const std::string& path : *paths) folders.insert(folder_of(path));
    std::vector<std::string> classes(folders.begin(), folders.end());
    for (const FieldRequest& request : wanted) {
        const Result<const SourceField*> field = find_source_field(source, request.name);
        if (!field) return field.error();
        LoadedField made;
        made.field.name = request.name;
        made.field.dtype = made.field.stored = request.dtype;
        made.field.sample_shape = request.sample_shape;
        made.origin = source.path;
        if ((*field)->part == FieldPart::folder) {
            const auto known = trained_categories(trained, request.name, kFolder);
            if (Status names = check_class_names(classes, source.path); !names) {
                return names.error();
            }
            if (!known.empty()) classes = known;
            made.field.statistics.columns = {{kFolder, classes, std::nullopt}};
            plans.push_back({*field, {}, 0, 0, 0});
        } else {
            Result<Plan> plan = plan_of(source, **field, request);
            if (!plan) return plan.error();
            needed = std::max(needed, plan->first + plan->steps);
            if ((*field)->part == FieldPart::following) {
                const SourceField* before = followed(source, wanted);
                if (before == nullptr) {
                    return Error{
                        .message = fmt::format("`{}` follows an input, but none is made of columns",
                                               request.name)};
                }
                for (SourceField& other : table.fields) {
                    if (other.name == request.name) other.selector = before->selector;
                }
            }
            columns.push_back(plan->columns);
            plans.push_back(std::move(*plan));
        }
        loaded.fields.push_back(std::move(made));
    }
    for (std::size_t number = 0; number < paths->size(); ++number) {
        table.path = (*paths)[number];
        Result<CsvSource> csv = CsvSource::open(table, columns, "");
        if (!csv) return csv.error();
        const Result<std::vector<LoadedField>> rows = csv->encode({}, nullptr);
        if (!rows) return rows.error();
        const std::string folder = folder_of(table.path);
        const auto code = std::find(classes.begin(), classes.end(), folder) - classes.begin();
        std::int64_t windows = 0;
        for (std::int64_t start = 0; start + needed <= csv->rows(); start += source.stride) {
            ++windows;
            loaded.groups.push_back(static_cast<std::int64_t>(number));
        }
        std::size_t next = 0;
        for (std::size_t i = 0; i < plans.size(); ++i) {
            Field& field = loaded.fields[i].field;
            const std::size_t before = field.values.size();
            field.values.resize(before + static_cast<std::size_t>(windows * field.stored_bytes()));
            std::byte* out = field.values.data() + before;
            if (plans[i].field->part == FieldPart::folder) {
                if (static_cast<std::size_t>(code) == classes.size()) {
                    return Error{.message = fmt::format("the folder {} of {} is no class of the "
                                                        "training",
                                                        quoted_text(folder), table.path),
                                 .help = "the classes are: " + listed_texts(classes)};
                }
                for (std::int64_t w = 0; w < windows; ++w, out += field.stored_bytes())
                    store_number(field.stored, static_cast<double>(code), out);
                continue;
            }
            const LoadedField& values = (*rows)[next++];
            for (std::int64_t w = 0; w < windows; ++w, out += field.stored_bytes())
                cut_window(values.field, plans[i], w * source.stride, out);
            std::vector<bool>& mask = loaded.fields[i].standardize;
            if (!mask.empty() || plans[i].columns.role != FieldRole::input) continue;
            for (const bool one : values.standardize)
                mask.insert(mask.end(), static_cast<std::size_t>(plans[i].steps), one);
        }
    }
    if (loaded.groups.empty()) {
        return Error{.message = fmt::format("no file of {} has the {} rows that a sample needs",
                                            source.path, needed)};
    }
    return loaded;
}

}  // namespace netc
