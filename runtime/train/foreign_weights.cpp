#include "runtime/train/foreign_weights.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include <fmt/format.h>

#include "runtime/data/convert.h"

namespace netc {
namespace {

using Dims = std::vector<std::int64_t>;

// How a tensor of the file becomes ours.
struct Rule {
    WeightLayout layout;
    std::string_view layers;  // kinds, separated by spaces
    std::string_view leaf;    // our name
    std::string_view source;  // theirs; "a + b" is the sum of two
    std::string_view axes;    // axis i of ours is axis axes[i] of theirs; empty: as they are
    std::string_view gates;   // block i of our last axis is block gates[i] of theirs
};

constexpr auto kPyTorch = WeightLayout::pytorch;
constexpr auto kKeras = WeightLayout::keras;
constexpr std::string_view kNorms = "batch_norm layer_norm group_norm instance_norm rms_norm";

// PyTorch's gates: lstm i f g o, gru r z n. Keras': lstm i f c o, gru z r h. Ours: i f o u, r z n.
constexpr Rule kRules[] = {
    {kPyTorch, "linear", "weight", "weight", "10", ""},
    {kPyTorch, kNorms, "gamma", "weight", "", ""},
    {kPyTorch, kNorms, "beta", "bias", "", ""},
    {kPyTorch, "embedding", "table", "weight", "", ""},
    {kPyTorch, "prelu", "neg", "weight", "", ""},
    {kPyTorch, "lstm", "wx", "weight_ih_l0", "10", "0132"},
    {kPyTorch, "lstm", "wh", "weight_hh_l0", "10", "0132"},
    {kPyTorch, "lstm", "bias", "bias_ih_l0 + bias_hh_l0", "", "0132"},
    {kPyTorch, "gru", "wx", "weight_ih_l0", "10", ""},
    {kPyTorch, "gru", "wh", "weight_hh_l0", "10", ""},
    {kPyTorch, "gru", "bias", "bias_ih_l0 + bias_hh_l0", "", ""},
    {kKeras, "linear", "weight", "kernel", "", ""},
    {kKeras, "conv conv_transpose", "weight", "kernel", "3201", ""},
    {kKeras, "conv1d", "weight", "kernel", "210", ""},
    {kKeras, "depthwise_conv", "weight", "kernel", "2301", ""},
    {kKeras, kNorms, "running_mean", "moving_mean", "", ""},
    {kKeras, kNorms, "running_var", "moving_variance", "", ""},
    {kKeras, "embedding", "table", "embeddings", "", ""},
    {kKeras, "prelu", "neg", "alpha", "", ""},
    {kKeras, "lstm", "wx", "kernel", "", "0132"},
    {kKeras, "lstm", "wh", "recurrent_kernel", "", "0132"},
    {kKeras, "lstm", "bias", "bias", "", "0132"},
    {kKeras, "gru", "wx", "kernel", "", "102"},
    {kKeras, "gru", "wh", "recurrent_kernel", "", "102"},
    {kKeras, "gru", "bias", "bias", "", "102"},
};

bool has_word(std::string_view words, std::string_view word) {
    for (std::size_t at = 0; at < words.size();) {
        const std::size_t end = std::min(words.find(' ', at), words.size());
        if (words.substr(at, end - at) == word) return true;
        at = end + 1;
    }
    return false;
}

Rule rule_of(WeightLayout layout, std::string_view layer, std::string_view leaf) {
    for (const Rule& rule : kRules) {
        if (rule.layout == layout && rule.leaf == leaf && has_word(rule.layers, layer)) return rule;
    }
    return {layout, layer, leaf, leaf, "", ""};
}

// conv_1.weight, dense/kernel:0: the layer's path, and the last word.
struct Name {
    std::string path, leaf;
    explicit Name(std::string_view name) {
        if (name.ends_with(":0")) name.remove_suffix(2);
        const std::size_t cut = name.find_last_of("./");
        if (cut != std::string_view::npos) path = name.substr(0, cut);
        leaf = name.substr(cut == std::string_view::npos ? 0 : cut + 1);
    }
};

// layer.2 before layer.10.
bool natural_less(std::string_view a, std::string_view b) {
    const auto digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
    while (!a.empty() && !b.empty()) {
        if (digit(a[0]) && digit(b[0])) {
            const auto number = [&](std::string_view& text) {
                std::size_t n = 0;
                while (n < text.size() && digit(text[n])) ++n;
                std::string_view found = text.substr(0, n);
                text.remove_prefix(n);
                while (found.size() > 1 && found[0] == '0') found.remove_prefix(1);
                return found;
            };
            const std::string_view x = number(a), y = number(b);
            if (x != y) return x.size() != y.size() ? x.size() < y.size() : x < y;
            continue;
        }
        if (a[0] != b[0]) return a[0] < b[0];
        a.remove_prefix(1);
        b.remove_prefix(1);
    }
    return a.size() < b.size();
}
struct NaturalOrder {
    bool operator()(const std::string& a, const std::string& b) const { return natural_less(a, b); }
};

// The shape that ours must have for theirs to fit.
Dims moved(const Dims& theirs, const Rule& rule) {
    if (rule.axes.empty()) return theirs;
    Dims ours;
    for (const char axis : rule.axes) {
        const auto i = static_cast<std::size_t>(axis - '0');
        ours.push_back(i < theirs.size() ? theirs[i] : -1);
    }
    return theirs.size() == rule.axes.size() ? ours : Dims{-1};
}

using Sources = std::vector<const Safetensors::Tensor*>;

class Import {
public:
    Import(Session& session, const std::vector<Variable>& variables, const Safetensors& file,
           const std::string& path, WeightLayout layout)
        : session_(session), file_(file), path_(path), layout_(layout) {
        for (const Safetensors::Tensor& tensor : file.tensors) {
            const Name name(tensor.name);
            groups_[name.path][name.leaf] = &tensor;
        }
        for (const Variable& variable : variables) layers_[variable.name] = variable.layer;
    }

    Result<ImportReport> run() {
        std::vector<std::pair<std::string, std::vector<const VariablePlace*>>> open;
        for (const VariablePlace& place : session_.program().weights) {
            const Name name(place.name);
            if (const auto group = groups_.find(name.path); group != groups_.end()) {
                const Sources sources = sources_in(group->second, place);
                if (!sources.empty()) {
                    if (Status s = take(place, sources); !s) return s.error();
                    continue;
                }
            }
            if (open.empty() || open.back().first != name.path) open.push_back({name.path, {}});
            open.back().second.push_back(&place);
        }
        for (const auto& [path, places] : open) {
            if (Status s = take_group(places); !s) return s.error();
        }
        for (const Safetensors::Tensor& tensor : file_.tensors) {
            // PyTorch counts the batches of a batch_norm; nothing here depends on it.
            if (used_.contains(&tensor) || Name(tensor.name).leaf == "num_batches_tracked")
                continue;
            report_.unused.push_back(tensor.name);
        }
        const bool whole = std::ranges::none_of(report_.missing, [](const VariablePlace* place) {
            return place->kind == VariableKind::parameter;
        });
        if (!whole) return not_filled();
        return std::move(report_);
    }

private:
    using Group = std::map<std::string, const Safetensors::Tensor*>;

    Rule rule(const VariablePlace& place) const {
        const auto layer = layers_.find(place.name);
        return rule_of(layout_, layer == layers_.end() ? "" : layer->second, Name(place.name).leaf);
    }

    // What the rule wants of a layer of the file, if it is there, free and of the right shape.
    Sources sources_in(const Group& group, const VariablePlace& place) const {
        const Rule how = rule(place);
        Sources sources;
        std::string_view rest = how.source;
        while (!rest.empty()) {
            const std::size_t plus = std::min(rest.find(" + "), rest.size());
            const auto found = group.find(std::string(rest.substr(0, plus)));
            rest.remove_prefix(std::min(plus + 3, rest.size()));
            if (found == group.end() || used_.contains(found->second)) return {};
            sources.push_back(found->second);
        }
        for (const Safetensors::Tensor* tensor : sources) {
            if (moved(tensor->shape, how) == place.dims) continue;
            // Keras keeps two biases of a gru: of the input, and inside of the reset.
            const bool two = sources.size() == 1 && tensor->shape.size() == 2 &&
                             tensor->shape[0] == 2 && place.dims == Dims{tensor->shape[1]};
            if (!two || layers_.at(place.name) != "gru") return {};
        }
        return sources;
    }

    // The first layer of the file that has all that one of ours wants.
    Status take_group(const std::vector<const VariablePlace*>& places) {
        for (const auto& [path, group] : groups_) {
            std::vector<std::pair<const VariablePlace*, Sources>> pairs;
            bool fits = true;
            for (const VariablePlace* place : places) {
                Sources sources = sources_in(group, *place);
                fits = fits && (!sources.empty() || place->kind == VariableKind::state);
                if (!sources.empty()) pairs.emplace_back(place, std::move(sources));
            }
            if (!fits || pairs.empty()) continue;
            for (const auto& [place, sources] : pairs) {
                if (Status s = take(*place, sources); !s) return s;
                report_.taken.back().by_order = true;
            }
            for (const VariablePlace* place : places) {
                const bool found = std::ranges::any_of(
                    pairs, [&](const auto& pair) { return pair.first == place; });
                if (!found) report_.missing.push_back(place);
            }
            return {};
        }
        report_.missing.insert(report_.missing.end(), places.begin(), places.end());
        return {};
    }

    Status take(const VariablePlace& place, const Sources& sources) {
        const Rule how = rule(place);
        const auto size = static_cast<std::size_t>(place.size / size_of(place.dtype));
        std::vector<double> values(size, 0.0);
        const std::vector<std::vector<double>> summands = summands_of(place, sources, how);
        const bool inner = summands.size() > 1 && layers_[place.name] == "gru";
        // The gru of the library has no bias inside of the reset, where theirs may have one.
        if (inner && std::any_of(summands[1].begin() + static_cast<std::ptrdiff_t>(2 * size / 3),
                                 summands[1].end(), [](double value) { return value != 0; })) {
            return Error{kExitData, fmt::format("{}: {} has a bias inside of the reset product, "
                                                "which `gru` has not",
                                                path_, sources.back()->name)};
        }
        for (const std::vector<double>& summand : summands) {
            for (std::size_t i = 0; i < size; ++i) values[i] += summand[i];
        }
        put(place, gated(values, place.dims.empty() ? 1 : place.dims.back(), how.gates));
        ImportedTensor taken;
        taken.place = &place;
        for (const Safetensors::Tensor* tensor : sources) {
            used_.insert(tensor);
            taken.from.push_back(tensor->name);
        }
        if (!how.axes.empty()) taken.how = how.axes == "10" ? "transposed" : "axes moved";
        if (!how.gates.empty()) taken.how += taken.how.empty() ? "gates moved" : ", gates moved";
        if (sources.size() > 1) taken.how += taken.how.empty() ? "added" : ", added";
        report_.taken.push_back(std::move(taken));
        return {};
    }

    // The tensors in our order of axes. Keras keeps two biases of a gru in one tensor: two summands.
    std::vector<std::vector<double>> summands_of(const VariablePlace& place, const Sources& sources,
                                                 const Rule& how) const {
        std::vector<std::vector<double>> summands;
        for (const Safetensors::Tensor* tensor : sources) {
            const auto bytes = static_cast<std::size_t>(size_of(tensor->dtype));
            std::vector<double> read(tensor->size / bytes);
            for (std::size_t i = 0; i < read.size(); ++i) {
                read[i] = load_number(tensor->dtype, file_.data(*tensor).data() + i * bytes);
            }
            if (tensor->shape.size() > place.dims.size()) {
                const auto half = read.begin() + static_cast<std::ptrdiff_t>(read.size() / 2);
                summands.emplace_back(read.begin(), half);
                summands.emplace_back(half, read.end());
            } else {
                summands.push_back(reordered(read, tensor->shape, how.axes));
            }
        }
        return summands;
    }

    static std::vector<double> reordered(const std::vector<double>& values, const Dims& theirs,
                                         std::string_view axes) {
        if (axes.empty()) return values;
        const std::size_t rank = axes.size();
        std::vector<std::size_t> strides(rank, 1), index(rank, 0), source(rank);
        for (std::size_t i = rank - 1; i-- > 0;) {
            strides[i] = strides[i + 1] * static_cast<std::size_t>(theirs[i + 1]);
        }
        for (std::size_t i = 0; i < rank; ++i) source[i] = static_cast<std::size_t>(axes[i] - '0');
        std::vector<double> result(values.size());
        for (double& value : result) {
            std::size_t at = 0;
            for (std::size_t i = 0; i < rank; ++i) at += index[i] * strides[source[i]];
            value = values[at];
            for (std::size_t i = rank; i-- > 0;) {
                if (++index[i] < static_cast<std::size_t>(theirs[source[i]])) break;
                index[i] = 0;
            }
        }
        return result;
    }

    static std::vector<double> gated(const std::vector<double>& values, std::int64_t columns,
                                     std::string_view gates) {
        if (gates.empty()) return values;
        const auto width = static_cast<std::size_t>(columns);
        const std::size_t block = width / gates.size();
        std::vector<double> result(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::size_t row = i / width, gate = i % width / block, at = i % width % block;
            const auto theirs = static_cast<std::size_t>(gates[gate] - '0');
            result[i] = values[row * width + theirs * block + at];
        }
        return result;
    }

    void put(const VariablePlace& place, const std::vector<double>& values) {
        const std::span<std::byte> to = session_.variable(place);
        const auto bytes = static_cast<std::size_t>(size_of(place.dtype));
        for (std::size_t i = 0; i < values.size(); ++i) {
            store_number(place.dtype, values[i], to.data() + i * bytes);
        }
    }

    Error not_filled() const {
        constexpr std::size_t kShown = 12;
        std::string text = fmt::format("{}: nothing in it fits these parameters:", path_);
        std::size_t shown = 0;
        for (const VariablePlace* place : report_.missing) {
            if (place->kind != VariableKind::parameter || ++shown > kShown) continue;
            text += fmt::format("\n  {} {}[{}]", place->name, name_of(place->dtype),
                                fmt::join(place->dims, ", "));
        }
        if (shown > kShown) text += fmt::format("\n  and {} more", shown - kShown);
        if (!report_.unused.empty()) text += "\nnot used of the file:";
        for (std::size_t i = 0; i < std::min(report_.unused.size(), kShown); ++i) {
            const Safetensors::Tensor* tensor = file_.find(report_.unused[i]);
            text += fmt::format("\n  {} {}[{}]", tensor->name, name_of(tensor->dtype),
                                fmt::join(tensor->shape, ", "));
        }
        if (report_.unused.size() > kShown) {
            text += fmt::format("\n  and {} more", report_.unused.size() - kShown);
        }
        return {
            kExitData,
            std::move(text),
            {},
            "--map 'FROM.*=TO.*' says which layer is which, --layout how the file's tensors lie"};
    }

    Session& session_;
    const Safetensors& file_;
    std::string path_;
    WeightLayout layout_;
    std::map<std::string, Group, NaturalOrder> groups_;
    std::map<std::string, std::string> layers_;  // of our variables: the kind that owns them
    std::set<const Safetensors::Tensor*> used_;
    ImportReport report_;
};

}  // namespace

std::optional<WeightLayout> weight_layout(std::string_view name) {
    if (name == "netc") return WeightLayout::netc;
    if (name == "pytorch") return WeightLayout::pytorch;
    if (name == "keras") return WeightLayout::keras;
    return std::nullopt;
}

Result<ImportReport> import_weights(Session& session, const std::vector<Variable>& variables,
                                    const Safetensors& file, const std::string& path,
                                    WeightLayout layout) {
    return Import(session, variables, file, path, layout).run();
}

}  // namespace netc
