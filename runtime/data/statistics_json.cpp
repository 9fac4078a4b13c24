// What was learned from the training data as text, for the metadata of a weights file.
#include <nlohmann/json.hpp>

#include "runtime/data/dataset.h"

namespace netc {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const FieldStatistics& field) {
    Json json{{"name", field.name}, {"min", field.raw_min}, {"max", field.raw_max}};
    if (field.scaled) json["scale"] = {field.scale, field.offset};
    if (field.standardized) {
        json["mean"] = field.mean;
        json["deviation"] = field.deviation;
    }
    if (!field.class_counts.empty()) json["class_counts"] = field.class_counts;
    for (const ColumnStatistics& column : field.columns) {
        Json entry{{"column", column.column}};
        if (!column.categories.empty()) entry["categories"] = column.categories;
        if (column.fill) entry["fill"] = *column.fill;
        json["columns"].push_back(entry);
    }
    return json;
}

// Each reader leaves `value` alone and returns false where the JSON is of another kind.
bool read(const Json& json, const char* key, double& value) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number()) return false;
    value = found->get<double>();
    return true;
}
bool read(const Json& json, const char* key, std::string& value) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_string()) return false;
    value = found->get<std::string>();
    return true;
}
template <class T>
bool read(const Json& json, const char* key, std::vector<T>& values) {
    const auto found = json.find(key);
    if (found == json.end()) return true;
    if (!found->is_array()) return false;
    for (const Json& item : *found) {
        if constexpr (std::is_same_v<T, std::string>) {
            if (!item.is_string()) return false;
        } else {
            if (!item.is_number()) return false;
        }
        values.push_back(item.get<T>());
    }
    return true;
}

bool from_json(const Json& json, FieldStatistics& field) {
    if (!json.is_object()) return false;
    bool good = read(json, "name", field.name) && read(json, "min", field.raw_min) &&
                read(json, "max", field.raw_max);
    std::vector<double> scale;
    good = good && read(json, "scale", scale) && read(json, "mean", field.mean) &&
           read(json, "deviation", field.deviation) &&
           read(json, "class_counts", field.class_counts);
    good =
        good && (scale.empty() || scale.size() == 2) && field.mean.size() == field.deviation.size();
    if (!good) return false;
    if (!scale.empty()) {
        field.scaled = true;
        field.scale = scale[0];
        field.offset = scale[1];
    }
    field.standardized = !field.mean.empty();
    const auto columns = json.find("columns");
    if (columns == json.end()) return true;
    if (!columns->is_array()) return false;
    for (const Json& entry : *columns) {
        ColumnStatistics column;
        if (!entry.is_object() || !read(entry, "column", column.column) ||
            !read(entry, "categories", column.categories)) {
            return false;
        }
        double fill = 0;
        if (read(entry, "fill", fill)) column.fill = fill;
        field.columns.push_back(std::move(column));
    }
    return true;
}

}  // namespace

DataStatistics statistics_of(const Dataset& dataset) {
    DataStatistics statistics;
    for (const Field& field : dataset.fields) statistics.push_back(field.statistics);
    return statistics;
}

std::string statistics_to_json(const DataStatistics& statistics) {
    Json json = Json::array();
    for (const FieldStatistics& field : statistics) json.push_back(to_json(field));
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<DataStatistics> statistics_from_json(std::string_view text) {
    const Error malformed{.status = kExitData,
                          .message = "what the weights say about their training data is malformed"};
    if (text.size() > (std::size_t{1} << 30)) return malformed;
    std::size_t depth = 0;
    for (const char c : text) {
        if (c == '[' || c == '{') ++depth;
        if ((c == ']' || c == '}') && depth > 0) --depth;
        if (depth > 100) return malformed;
    }
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_array()) return malformed;
    DataStatistics statistics;
    for (const Json& entry : json) {
        FieldStatistics field;
        if (!from_json(entry, field)) return malformed;
        statistics.push_back(std::move(field));
    }
    return statistics;
}

}  // namespace netc
