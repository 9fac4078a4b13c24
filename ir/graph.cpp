// Small things of the graph: the text of types, attributes, lookup in a module.
#include "ir/graph.h"

#include <algorithm>

namespace netc {

std::string Type::to_string() const {
    std::string text(name_of(dtype));
    text += "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (i > 0) text += ", ";
        text += shape[i].to_string();
    }
    return text + "]";
}

Attributes::Attributes(std::initializer_list<std::pair<std::string, AttributeValue>> values) {
    for (const auto& [name, value] : values) set(name, value);
}

void Attributes::set(std::string name, AttributeValue value) {
    const auto place = std::lower_bound(
        values_.begin(), values_.end(), name,
        [](const auto& entry, const std::string& wanted) { return entry.first < wanted; });
    if (place != values_.end() && place->first == name) {
        place->second = std::move(value);
    } else {
        values_.emplace(place, std::move(name), std::move(value));
    }
}

const AttributeValue* Attributes::find(std::string_view name) const {
    for (const auto& [key, value] : values_) {
        if (key == name) return &value;
    }
    return nullptr;
}

Function* Module::find(std::string_view function) {
    for (Function& candidate : functions) {
        if (candidate.name == function) return &candidate;
    }
    return nullptr;
}

const Function* Module::find(std::string_view function) const {
    for (const Function& candidate : functions) {
        if (candidate.name == function) return &candidate;
    }
    return nullptr;
}

}  // namespace netc
