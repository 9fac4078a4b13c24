// Weights from elsewhere: arrays in files as initial values, tensors of another model under new names.

#include <algorithm>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "runtime/data/convert.h"
#include "runtime/files/npy.h"
#include "runtime/train/session.h"

namespace netc {
namespace {

std::string type_text(DType dtype, const std::vector<std::int64_t>& shape) {
    return fmt::format("{}[{}]", name_of(dtype), fmt::join(shape, ", "));
}

Status read_initial_file(Session& session, const Variable& variable, const VariablePlace& place) {
    const std::string& path = variable.initializer.path;
    Result<Array> array = read_npy(path);
    if (!array) {
        Error error = array.error();
        if (!error.help.empty()) error.help = "the path is relative to the text that names it";
        return error;
    }
    if (array->shape != place.dims) {
        return Error{kExitData, fmt::format("{}: the array is {}, but `{}` is {}", path,
                                            type_text(array->dtype, array->shape), place.name,
                                            type_text(place.dtype, place.dims))};
    }
    const std::span<std::byte> to = session.variable(place);
    if (array->dtype == place.dtype) {
        std::memcpy(to.data(), array->bytes.data(), to.size());
        return {};
    }
    if (is_float(place.dtype) && array->dtype != DType::b1) {
        const auto from_size = static_cast<std::size_t>(size_of(array->dtype));
        const auto to_size = static_cast<std::size_t>(size_of(place.dtype));
        for (std::size_t i = 0; i * to_size < to.size(); ++i) {
            const double value = load_number(array->dtype, array->bytes.data() + i * from_size);
            store_number(place.dtype, value, to.data() + i * to_size);
        }
        return {};
    }
    return Error{kExitData, fmt::format("{}: the array holds {}, but `{}` is {}", path,
                                        name_of(array->dtype), place.name, name_of(place.dtype))};
}

// What the stars of a pattern stand for; false where the text does not match. Each takes as little as it can.
bool match(std::string_view pattern, std::string_view text, std::vector<std::string>& stars) {
    const std::size_t star = pattern.find('*');
    if (star == std::string_view::npos) return pattern == text;
    if (!text.starts_with(pattern.substr(0, star))) return false;
    text.remove_prefix(star);
    pattern.remove_prefix(star + 1);
    for (std::size_t length = 0; length <= text.size(); ++length) {
        stars.emplace_back(text.substr(0, length));
        if (match(pattern, text.substr(length), stars)) return true;
        stars.pop_back();
    }
    return false;
}

std::string fill(std::string_view pattern, const std::vector<std::string>& stars) {
    std::string text;
    std::size_t next = 0;
    for (const char c : pattern) {
        if (c == '*') {
            text += stars[next++];
        } else {
            text += c;
        }
    }
    return text;
}

}  // namespace

Status read_initial_files(Session& session, const std::vector<Variable>& variables) {
    for (const Variable& variable : variables) {
        if (variable.initializer.kind != InitializerKind::from_file) continue;
        const VariablePlace* place = session.find_weight(variable.name);
        if (place == nullptr) continue;  // no part of this program
        if (Status s = read_initial_file(session, variable, *place); !s) return s;
    }
    return {};
}

Status rename_tensors(Safetensors& file,
                      const std::vector<std::pair<std::string, std::string>>& map,
                      const std::string& path) {
    std::vector<bool> used(map.size(), false);
    std::set<std::string> names;
    for (Safetensors::Tensor& tensor : file.tensors) {
        for (std::size_t i = 0; i < map.size(); ++i) {
            std::vector<std::string> stars;
            if (!match(map[i].first, tensor.name, stars)) continue;
            used[i] = true;
            tensor.name = fill(map[i].second, stars);
            break;
        }
        if (names.insert(tensor.name).second) continue;
        return Error{kExitData,
                     fmt::format("{}: the map gives two tensors the name {}", path, tensor.name)};
    }
    for (std::size_t i = 0; i < map.size(); ++i) {
        if (used[i]) continue;
        return Error{kExitData,
                     fmt::format("{}: no tensor has a name like {}", path, map[i].first),
                     {},
                     "patterns are matched against the names in the file, such as `conv_1.*`"};
    }
    return {};
}

}  // namespace netc
