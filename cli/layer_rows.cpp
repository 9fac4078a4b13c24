#include "cli/layer_rows.h"

#include <cmath>
#include <map>

#include <fmt/format.h>

#include "ir/op_def.h"
#include "passes/pipeline.h"

namespace netc {
namespace {

std::int64_t numbers(const Type& type) {
    std::int64_t count = 1;
    for (const Dim& dim : type.shape) count *= dim.is_static() ? dim.value() : 1;
    return count;
}

// The instance that owns a value, below the model: `conv_1`.
std::string owner(const std::string& instance, const std::string& model) {
    if (instance == model) return {};
    if (instance.starts_with(model + ".")) return instance.substr(model.size() + 1);
    return instance;
}

// What the user wrote where a value of the model itself was made: `avg_pool(2)`.
std::string written_at(const SourceMap& sources, const Origin& origin) {
    const Span span = origin.calls.empty() ? origin.span : origin.calls.front();
    if (!span.known()) return {};
    std::string text(sources.text(span));
    constexpr std::size_t kShown = 24;
    return text.size() > kShown || text.find('\n') != std::string::npos ? std::string{} : text;
}

}  // namespace

double numbers_per_sample(const Type& type) {
    double count = 1;
    for (const Dim& dim : type.shape) {
        const auto extent = dim.extent();
        count *= static_cast<double>(extent ? extent->at(1) : 1);
    }
    return count;
}

// 2 for each multiply-accumulate: result elements times the terms of each.
double node_flops(const Function& f, const Node& node) {
    if (op_def(node.op).family != OpFamily::contraction || node.inputs.size() < 2) return 0;
    const Type& w = f[node.inputs[1]].type;
    const Type& x = f[node.inputs[0]].type;
    const double out = numbers_per_sample(node.type);
    if (node.op == OpId::conv_nd)
        return 2 * out * numbers_per_sample(w) / numbers_per_sample({w.dtype, {w.shape[0]}});
    // Products: sqrt(|x| |w| |y|) is the number of terms where each axis is in two of three; batch axes
    // are in all three, and count once.
    return 2 * std::sqrt(numbers_per_sample(x) * numbers_per_sample(w) * out);
}

std::vector<LayerRow> layer_rows(const Model& model, const SourceMap& sources) {
    std::vector<LayerRow> rows;
    std::map<std::string, std::size_t> row_of;
    auto row_at = [&](const std::string& key, const std::string& path) -> LayerRow& {
        auto [place, fresh] = row_of.emplace(key, rows.size());
        if (fresh) rows.push_back({path, {}, {}, 0, 0, 0, 0});
        return rows[place->second];
    };
    auto row = [&](const std::string& path) -> LayerRow& { return row_at(path, path); };
    // The body of a scan counts as often as it runs.
    const auto visit = [&](const auto& self, const Function& function, double times) -> void {
        for (const Node& node : function.nodes) {
            if (node.op == OpId::scan) {
                const auto body =
                    static_cast<std::size_t>(node.attributes.get<std::int64_t>("body"));
                const Dim& steps = node.attributes.get<Shape>("steps")[0];
                self(self, function.bodies[body],
                     times * static_cast<double>(steps.is_static() ? steps.value() : 1));
                continue;
            }
            if (node.op == OpId::input || node.op == OpId::variable || node.op == OpId::constant)
                continue;
            const Origin& origin = function.origins[node.origin];
            const std::string path = owner(origin.instance, model.name);
            // Values of the model itself: a row for each place in the text.
            const std::string text = written_at(sources, origin);
            const Span span = origin.calls.empty() ? origin.span : origin.calls.front();
            LayerRow& r = path.empty()
                              ? row_at(fmt::format("@{}:{}", span.file, span.begin),
                                       text.empty() ? std::string(op_def(node.op).name) : text)
                              : row(path);
            r.shape = node.type.to_string();
            r.flops += times * node_flops(function, node);
            if (op_def(node.op).family != OpFamily::view) {
                r.activation_bytes =
                    numbers_per_sample(node.type) * static_cast<double>(size_of(node.type.dtype));
            }
        }
    };
    if (const Function* forward = model.module.find("forward")) visit(visit, *forward, 1);
    for (const Variable& variable : model.module.variables) {
        const std::size_t dot = variable.name.rfind('.');
        LayerRow& r = row(dot == std::string::npos ? variable.name : variable.name.substr(0, dot));
        r.kind = variable.layer;
        (variable.kind == VariableKind::parameter ? r.parameters : r.state) +=
            numbers(variable.type);
    }
    return rows;
}

std::string with_separators(std::int64_t value) {
    std::string digits = std::to_string(value);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
        digits.insert(static_cast<std::size_t>(at), "_");
    }
    return digits;
}

std::string amount(double value, const char* unit) {
    if (value >= 1e9) return fmt::format("{:.2f} G{}", value / 1e9, unit);
    if (value >= 1e6) return fmt::format("{:.2f} M{}", value / 1e6, unit);
    if (value >= 1e3) return fmt::format("{:.1f} k{}", value / 1e3, unit);
    return fmt::format("{:.0f} {}", value, unit);
}

Result<double> memory_of(const Model& model, const TrainSection* section, const Options& options,
                         std::string_view entry, std::int64_t batch) {
    std::vector<std::string> entries{std::string(entry)};
    if (entry == "forward") entries.push_back("prepare");
    Result<Program> program = make_program(model, section, options, entries, batch);
    if (!program) return program.error();
    const bool training = entry != "forward";
    return static_cast<double>(program->find(entry)->workspace.at(batch)) +
           static_cast<double>(training ? program->weights_size + program->optimizer_size
                                        : program->prepared_size);
}

}  // namespace netc
