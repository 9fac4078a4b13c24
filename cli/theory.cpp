#include "cli/theory.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "cli/layer_rows.h"
#include "ir/op_def.h"

namespace netc {
namespace {

// A matrix or a filter on the way from input to output.
struct Map {
    std::string name;  // of its layer
    const Variable* weight = nullptr;
    double inputs = 0, outputs = 0;  // of one application: fan-in and the number of outputs
    double window = 1;               // positions that a filter covers
    bool dense = false;
};

const Variable* variable_of(const Module& module, const Function& f, NodeId id) {
    const Node& node = f[id];
    if (node.op != OpId::variable) return nullptr;
    return &module.variables[static_cast<std::size_t>(node.attributes.get<std::int64_t>("index"))];
}

// The layers whose weight is applied directly, in their order.
std::vector<Map> maps_of(const Model& model, const Function& f) {
    std::vector<Map> maps;
    for (const Node& node : f.nodes) {
        if (op_def(node.op).family != OpFamily::contraction || node.inputs.size() < 2) continue;
        const Variable* weight = variable_of(model.module, f, node.inputs[1]);
        if (weight == nullptr || weight->kind != VariableKind::parameter) continue;
        const Shape& shape = weight->type.shape;
        if (shape.size() < 2) continue;
        Map map;
        map.weight = weight;
        map.name = weight->name.substr(0, weight->name.rfind('.'));
        map.dense = shape.size() == 2;
        const auto size = [&](std::size_t axis) {
            return static_cast<double>(shape[axis].value());
        };
        map.inputs = map.dense ? size(0) : 1;
        map.outputs = map.dense ? size(1) : size(0);
        for (std::size_t axis = 1; !map.dense && axis < shape.size(); ++axis)
            map.inputs *= size(axis);
        for (std::size_t axis = 2; axis < shape.size(); ++axis) map.window *= size(axis);
        maps.push_back(std::move(map));
    }
    return maps;
}

// Standard deviation of the initial values; nothing where it is not of that kind.
std::optional<double> deviation_of(const Initializer& initial) {
    const auto argument = [&](std::size_t i) {
        return i < initial.arguments.size() ? initial.arguments[i] : 0.0;
    };
    switch (initial.kind) {
        case InitializerKind::normal: return argument(1);
        case InitializerKind::uniform: return (argument(1) - argument(0)) / std::sqrt(12.0);
        case InitializerKind::xavier_uniform:
        case InitializerKind::xavier_normal:
            return std::sqrt(2 / (initial.fan_in + initial.fan_out));
        case InitializerKind::he_uniform:
        case InitializerKind::he_normal: return std::sqrt(2 / initial.fan_in);
        case InitializerKind::rademacher: return 1.0;
        case InitializerKind::orthogonal:
        case InitializerKind::zeros:
        case InitializerKind::ones:
        case InitializerKind::full:
        case InitializerKind::values:
        case InitializerKind::from_file: return std::nullopt;
    }
    return std::nullopt;
}

template <class Number>
std::vector<double> as_doubles(std::span<const std::byte> bytes) {
    std::vector<double> values(bytes.size() / sizeof(Number));
    for (std::size_t i = 0; i < values.size(); ++i) {
        Number value;
        std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
        values[i] = static_cast<double>(value);
    }
    return values;
}

struct Norms {
    double noise = 0;      // deviation of an output over that of independent inputs
    double lipschitz = 0;  // bound of the largest singular value
};

// Of given numbers: Frobenius norm and power iteration on the matrix [out, in].
Norms norms_of(const Map& map, const std::vector<double>& values) {
    const auto rows = static_cast<std::size_t>(map.outputs);
    const auto columns = static_cast<std::size_t>(map.inputs);
    const auto at = [&](std::size_t out, std::size_t in) {
        return map.dense ? values[in * rows + out] : values[out * columns + in];
    };
    double squares = 0;
    for (const double value : values) squares += value * value;
    std::vector<double> x(columns, 1.0), y(rows);
    double norm = 0;
    for (int turn = 0; turn < 50; ++turn) {
        double length = 0;
        for (const double v : x) length += v * v;
        length = std::sqrt(length);
        if (length == 0) break;
        for (std::size_t o = 0; o < rows; ++o) {
            y[o] = 0;
            for (std::size_t i = 0; i < columns; ++i) y[o] += at(o, i) * x[i] / length;
        }
        norm = 0;
        for (const double v : y) norm += v * v;
        norm = std::sqrt(norm);
        for (std::size_t i = 0; i < columns; ++i) {
            x[i] = 0;
            for (std::size_t o = 0; o < rows; ++o) x[i] += at(o, i) * y[o];
        }
    }
    return {std::sqrt(squares / map.outputs), norm * std::sqrt(map.window)};
}

std::optional<Norms> norms_of(const Map& map, const Safetensors* weights) {
    if (weights != nullptr) {
        const std::vector<double> values = numbers_of(*weights, map.weight->name);
        if (values.size() != static_cast<std::size_t>(map.inputs * map.outputs))
            return std::nullopt;
        return norms_of(map, values);
    }
    const std::optional<double> deviation = deviation_of(map.weight->initializer);
    if (!deviation) return std::nullopt;
    return Norms{*deviation * std::sqrt(map.inputs),
                 *deviation * (std::sqrt(map.inputs) + std::sqrt(map.outputs)) *
                     std::sqrt(map.window)};
}

// Receptive field and step, in pixels of the input, along each spatial axis.
struct ReceptiveField {
    std::vector<double> size, step;
    bool whole = false;  // behind a map over everything
};

ReceptiveField field_of(const Function& f) {
    std::map<std::uint32_t, ReceptiveField> fields;
    ReceptiveField widest;
    for (std::uint32_t i = 0; i < f.nodes.size(); ++i) {
        const Node& node = f.nodes[i];
        if (node.op == OpId::input && node.type.rank() > 2) {
            const std::vector<double> ones(node.type.rank() - 2, 1.0);
            fields[i] = {ones, ones, false};
            continue;
        }
        ReceptiveField field;
        for (const NodeId input : node.inputs) {
            const auto found = fields.find(input.index);
            if (found == fields.end() || found->second.size.size() < field.size.size()) continue;
            if (field.size.empty()) field = found->second;
            for (std::size_t axis = 0; axis < field.size.size(); ++axis) {
                field.size[axis] = std::max(field.size[axis], found->second.size[axis]);
                field.step[axis] = std::max(field.step[axis], found->second.step[axis]);
            }
        }
        if (field.size.empty()) continue;
        const bool keeps = node.type.rank() == field.size.size() + 2;
        if (!keeps) continue;  // flattened or pooled over all: the field is the input
        const AttributeValue* stride = node.attributes.find("stride");
        if (stride != nullptr && (node.op == OpId::conv_nd || node.op == OpId::window)) {
            const auto& strides = std::get<std::vector<std::int64_t>>(*stride);
            const AttributeValue* dilation = node.attributes.find("dilation");
            const AttributeValue* size = node.attributes.find("size");
            // A window has the rank of its operand, a convolution that of the spatial axes.
            const std::size_t skip = strides.size() - field.size.size();
            for (std::size_t axis = 0; axis < field.size.size(); ++axis) {
                double k = 1, spread = 1;
                if (size != nullptr) {
                    k = static_cast<double>(
                        std::get<std::vector<std::int64_t>>(*size)[axis + skip]);
                } else if (node.inputs.size() > 1) {
                    k = static_cast<double>(f[node.inputs[1]].type.shape[axis + 2].value());
                }
                if (dilation != nullptr) {
                    spread = static_cast<double>(
                        std::get<std::vector<std::int64_t>>(*dilation)[axis + skip]);
                }
                field.size[axis] += (k - 1) * spread * field.step[axis];
                field.step[axis] *= static_cast<double>(strides[axis + skip]);
            }
            widest = field;
        }
        fields[i] = std::move(field);
    }
    return widest;
}

// Whether every operator is linear or a hinge, and the maps are dense layers in a row.
bool is_hinge_chain(const Function& f, const std::vector<Map>& maps) {
    for (const Node& node : f.nodes) {
        switch (op_def(node.op).family) {
            case OpFamily::leaf:
            case OpFamily::view:
            case OpFamily::contraction: continue;
            case OpFamily::elementwise: {
                const std::string_view name = op_def(node.op).name;
                const bool constant = std::ranges::any_of(
                    node.inputs, [&](NodeId input) { return f[input].op == OpId::constant; });
                if (name == "add" || name == "neg" || name == "max" || (name == "mul" && constant))
                    continue;
                return false;
            }
            case OpFamily::reduction:
            case OpFamily::tiles:
            case OpFamily::scatter:
            case OpFamily::random:
            case OpFamily::loop: return false;
        }
    }
    for (std::size_t i = 0; i < maps.size(); ++i) {
        if (!maps[i].dense || (i > 0 && maps[i].inputs != maps[i - 1].outputs)) return false;
    }
    return maps.size() >= 2;
}

std::string power_of_two(double exponent) {
    if (exponent < 40) return with_separators(std::llround(std::exp2(exponent)));
    return fmt::format("2^{:.1f}", exponent);
}

double log2_choose(std::int64_t n, std::int64_t k) {
    const auto f = [](std::int64_t v) { return std::lgamma(static_cast<double>(v) + 1); };
    return (f(n) - f(k) - f(n - k)) / std::log(2.0);
}

double log2_sum(double a, double b) {
    if (a < b) std::swap(a, b);
    if (std::isinf(b)) return a;
    return a + std::log2(1 + std::exp2(b - a));
}

}  // namespace

std::vector<double> numbers_of(const Safetensors& weights, std::string_view name) {
    const Safetensors::Tensor* tensor = weights.find(name);
    if (tensor == nullptr) return {};
    if (tensor->dtype == DType::f32) return as_doubles<float>(weights.data(*tensor));
    if (tensor->dtype == DType::f64) return as_doubles<double>(weights.data(*tensor));
    return {};
}

// R(l, d) = sum over j <= min(d, n_l) of C(n_l, j) R(l + 1, min(d, n_l - j)).
double log2_linear_regions(std::int64_t inputs, const std::vector<std::int64_t>& widths) {
    const auto most = static_cast<std::size_t>(inputs);
    std::vector<double> behind(most + 1, 0.0);
    for (auto width = widths.rbegin(); width != widths.rend(); ++width) {
        std::vector<double> here(most + 1);
        for (std::int64_t d = 0; d <= inputs; ++d) {
            double sum = -std::numeric_limits<double>::infinity();
            for (std::int64_t j = 0; j <= std::min(d, *width); ++j) {
                const auto next = static_cast<std::size_t>(std::min(d, *width - j));
                sum = log2_sum(sum, log2_choose(*width, j) + behind[next]);
            }
            here[static_cast<std::size_t>(d)] = sum;
        }
        behind = std::move(here);
    }
    return behind[most];
}

std::vector<TheoryLine> theory_of(const Model& model, const Safetensors* weights) {
    std::vector<TheoryLine> lines;
    const Function* f = model.module.find("forward");
    if (f == nullptr) return lines;
    const std::vector<Map> maps = maps_of(model, *f);
    const bool dense = !maps.empty() && std::ranges::all_of(maps, &Map::dense);
    lines.push_back({"parameters", with_separators(model.parameter_count),
                     dense ? "sum over layers of n_l (n_(l-1) + 1)"
                           : "sum over layers of n_out (n_in k_h k_w / groups + 1)",
                     "Rumelhart, Hinton and Williams 1986"});
    double inputs = 0;
    for (const Input& input : model.inputs) inputs += numbers_per_sample(input.type);
    lines.push_back({"levels of hinges", fmt::format("{:.0f}", std::ceil(std::log2(inputs + 1))),
                     fmt::format("ceil(log2(N + 1)) levels represent every continuous "
                                 "piecewise-linear function of N = {:.0f} inputs",
                                 inputs),
                     "Wang and Sun 2005, Arora et al. 2018"});
    if (is_hinge_chain(*f, maps)) {
        std::vector<std::int64_t> widths;
        double units = 0;
        for (std::size_t i = 0; i + 1 < maps.size(); ++i) {
            widths.push_back(static_cast<std::int64_t>(maps[i].outputs));
            units += maps[i].outputs;
        }
        const auto first = static_cast<std::int64_t>(maps.front().inputs);
        lines.push_back({"linear regions", "at most " + power_of_two(units), "2^(number of hinges)",
                         "Montufar et al. 2014"});
        constexpr std::int64_t kLargest = 4096;  // the sum takes (inputs x width) steps a layer
        if (first <= kLargest && std::ranges::max(widths) <= kLargest) {
            lines.push_back({"linear regions",
                             "at most " + power_of_two(log2_linear_regions(first, widths)),
                             "sum over j_l <= min(n_0, n_1 - j_1, .., n_l) of prod C(n_l, j_l)",
                             "Serra et al. 2018"});
        }
    } else {
        lines.push_back(
            {"linear regions", "no bound",
             "the bounds hold for dense layers with hinges between, one behind the other",
             "Montufar et al. 2014, Serra et al. 2018"});
    }
    const std::string of = weights != nullptr ? "" : ", expected of the initial weights";
    const char* const bound = weights != nullptr ? "at most" : "about";
    double noise = 1, lipschitz = 1;
    bool all = !maps.empty();
    for (const Map& map : maps) {
        const std::optional<Norms> norms = norms_of(map, weights);
        if (!norms) {
            all = false;
            continue;
        }
        noise *= norms->noise;
        lipschitz *= norms->lipschitz;
        lines.push_back(
            {"noise, " + map.name, fmt::format("{:.3g}", norms->noise),
             "c = |W|_F / sqrt(n_out): deviation of the output over that of the input" + of,
             "Glorot and Bengio 2010"});
        lines.push_back(
            {"Lipschitz, " + map.name, fmt::format("{} {:.3g}", bound, norms->lipschitz),
             weights != nullptr
                 ? "largest singular value of W, times sqrt(k_h k_w) for a filter"
                 : "s (sqrt(n_in) + sqrt(n_out)), times sqrt(k_h k_w) for a filter" + of,
             weights != nullptr ? "Szegedy et al. 2014, Tsuzuku et al. 2018"
                                : "Davidson and Szarek 2001, Tsuzuku et al. 2018"});
    }
    if (all) {
        lines.push_back(
            {"noise, all layers", fmt::format("{:.3g}", noise),
             fmt::format("product of c over L = {} layers, activations of slope 1", maps.size()),
             "He et al. 2015"});
        lines.push_back(
            {"Lipschitz, all layers", fmt::format("{} {:.3g}", bound, lipschitz),
             "product over layers, activations of slope at most 1; for a chain of layers",
             "Szegedy et al. 2014"});
    }
    const ReceptiveField field = field_of(*f);
    if (!field.size.empty()) {
        std::string size;
        for (const double axis : field.size)
            size += fmt::format("{}{:.0f}", size.empty() ? "" : " x ", axis);
        lines.push_back({"receptive field", size,
                         "1 + sum over layers of (k_l - 1) d_l prod_(i<l) s_i, of the last window",
                         "Araujo, Norris and Sim 2019"});
    }
    double flops = 0, traffic = 0;
    for (const Node& node : f->nodes) {
        flops += node_flops(*f, node);
        if (op_def(node.op).family == OpFamily::contraction)
            traffic += numbers_per_sample(node.type) * 4;
    }
    for (const Variable& variable : model.module.variables)
        traffic += numbers_per_sample(variable.type) * 4;
    traffic += inputs * 4;
    lines.push_back({"FLOP a sample", amount(flops, ""),
                     "2 for each multiply and add of contractions", "Golub and Van Loan 2013"});
    lines.push_back({"arithmetic intensity", fmt::format("{:.2f} FLOP/B", flops / traffic),
                     "FLOP / bytes of weights, inputs and results of contractions, one sample",
                     "Williams, Waterman and Patterson 2009"});
    return lines;
}

}  // namespace netc
