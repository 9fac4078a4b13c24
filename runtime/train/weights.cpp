// Weights of a session to and from safetensors.

#include <algorithm>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "runtime/train/session.h"

namespace netc {
namespace {

TensorView view(const Session& session, const VariablePlace& place) {
    return {place.name, place.dtype, place.dims, session.variable(place)};
}

std::string shape_text(DType dtype, const std::vector<std::int64_t>& shape) {
    return fmt::format("{}[{}]", name_of(dtype), fmt::join(shape, ", "));
}

std::string difference_table(const LoadReport& report, const std::string& path) {
    std::string text = fmt::format("{}: these are weights of another model", path);
    auto rows = [&](const char* what, const std::vector<std::string>& names) {
        constexpr std::size_t kShown = 8;
        for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
            text += fmt::format("\n  {:<22} {}", what, names[i]);
        }
        if (names.size() > kShown) {
            text += fmt::format("\n  {:<22} and {} more", what, names.size() - kShown);
        }
    };
    rows("other shape or type:", report.different);
    rows("not in the file:", report.missing);
    rows("not in the model:", report.unused);
    return text;
}

}  // namespace

Result<std::vector<TensorView>> weight_tensors(const Session& session) {
    std::vector<TensorView> tensors;
    for (const VariablePlace& place : session.program().weights)
        tensors.push_back(view(session, place));
    if (Status s = session.wait(); !s) return s.error();
    return tensors;
}

Result<std::vector<TensorView>> slot_tensors(const Session& session) {
    std::vector<TensorView> tensors;
    for (const VariablePlace& place : session.program().slots)
        tensors.push_back(view(session, place));
    if (Status s = session.wait(); !s) return s.error();
    return tensors;
}

Result<LoadReport> load_weights(Session& session, const Safetensors& file, const std::string& path,
                                bool partial) {
    LoadReport report;
    for (const VariablePlace& place : session.program().weights) {
        const Safetensors::Tensor* tensor = file.find(place.name);
        if (tensor == nullptr) {
            report.missing.push_back(
                fmt::format("{} {}", place.name, shape_text(place.dtype, place.dims)));
        } else if (tensor->dtype != place.dtype || tensor->shape != place.dims) {
            report.different.push_back(fmt::format("{} is {}, the model has {}", place.name,
                                                   shape_text(tensor->dtype, tensor->shape),
                                                   shape_text(place.dtype, place.dims)));
        } else {
            report.taken.push_back(place.name);
        }
    }
    for (const Safetensors::Tensor& tensor : file.tensors) {
        if (session.find_weight(tensor.name) == nullptr) {
            report.unused.push_back(
                fmt::format("{} {}", tensor.name, shape_text(tensor.dtype, tensor.shape)));
        }
    }
    const bool all = report.missing.empty() && report.unused.empty() && report.different.empty();
    if (!all && !partial) {
        Error error{kExitData, difference_table(report, path)};
        error.help = "weights fit the model, options and train section that they were trained with";
        return error;
    }
    for (const std::string& name : report.taken) {
        const std::span<const std::byte> from = file.data(*file.find(name));
        std::memcpy(session.variable(*session.find_weight(name)).data(), from.data(), from.size());
    }
    return report;
}

Status load_slots(Session& session, const Safetensors& file, const std::string& path) {
    for (const VariablePlace& place : session.program().slots) {
        const Safetensors::Tensor* tensor = file.find(place.name);
        if (tensor == nullptr || tensor->dtype != place.dtype || tensor->shape != place.dims) {
            return Error{kExitData,
                         fmt::format("{}: the optimizer's `{}` is missing or has another shape",
                                     path, place.name)};
        }
        const std::span<const std::byte> from = file.data(*tensor);
        std::memcpy(session.variable(place).data(), from.data(), from.size());
    }
    return {};
}

}  // namespace netc
