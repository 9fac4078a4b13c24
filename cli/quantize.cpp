// netc quantize: ranges of what contractions read, for inference in 8-bit integers; the metrics before and after.

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/loaded_network.h"
#include "cli/section_data.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/weights_file.h"
#include "cli/workbench.h"
#include "runtime/train/trainer.h"

namespace netc {
namespace {

// What the samples reached at one place: a number of each.
struct Extremes {
    std::string place;
    std::vector<float> least, greatest;
};

// The value that as many of them as `percent` says do not exceed, by nearest rank: always one that was seen.
double percentile(std::vector<float> values, double percent) {
    const auto count = static_cast<double>(values.size());
    const double rank = std::clamp(std::ceil(percent * count / 100), 1.0, count);
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank) - 1;
    std::ranges::nth_element(values, at);
    return static_cast<double>(*at);
}

ValueRange range_of(Extremes extremes, double percent) {
    for (float& value : extremes.least) value = -value;
    return {extremes.place, std::min(0.0, -percentile(std::move(extremes.least), percent)),
            std::max(0.0, percentile(std::move(extremes.greatest), percent))};
}

// Adds what one run of `forward` gave; an Error where something is not finite.
Status add_extremes(const Session& session, const Entry& entry, std::vector<Extremes>& all) {
    for (std::size_t i = 0; i < entry.outputs.size(); ++i) {
        const std::string& name = entry.outputs[i].name;
        for (Extremes& one : all) {
            const bool least = name == kLeastOf + one.place;
            if (!least && name != kGreatestOf + one.place) continue;
            std::vector<float>& into = least ? one.least : one.greatest;
            const auto bytes = session.output(i);
            const std::size_t before = into.size();
            into.resize(before + bytes.size() / sizeof(float));
            std::memcpy(into.data() + before, bytes.data(), bytes.size());
            const bool finite = std::all_of(into.begin() + static_cast<std::ptrdiff_t>(before),
                                            into.end(), [](float v) { return std::isfinite(v); });
            if (!finite)
                return Error{kExitRun, fmt::format("`{}` reads infinity or NaN", one.place)};
        }
    }
    return {};
}

// The ranges over these samples of the training data.
Result<std::vector<ValueRange>> calibrate(Loaded& loaded, const SectionData& data,
                                          std::span<const std::int64_t> rows, std::int64_t batch,
                                          double percent) {
    const Entry& entry = loaded.entry("forward");
    std::vector<Extremes> all;
    for (const EntryArgument& output : entry.outputs) {
        if (output.name.starts_with(kLeastOf))
            all.push_back({output.name.substr(std::string_view(kLeastOf).size()), {}, {}});
    }
    Result<BatchBuffers> buffers = BatchBuffers::create(entry, data.train, batch);
    if (!buffers) return buffers.error();
    Session& session = *loaded.session;
    if (Status s = session.run("prepare", {}, 1); !s) return s.error();
    const auto count = static_cast<std::int64_t>(rows.size());
    for (std::int64_t at = 0; at < count; at += batch) {
        const std::int64_t size = std::min(batch, count - at);
        const auto part =
            rows.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size));
        if (Status s = buffers->fill(part); !s) return s.error();
        if (Status s = session.run("forward", buffers->inputs(), size); !s) return s.error();
        if (Status s = session.wait(); !s) return s.error();
        if (Status s = add_extremes(session, entry, all); !s) return s.error();
    }
    std::vector<ValueRange> ranges;
    for (Extremes& one : all) ranges.push_back(range_of(std::move(one), percent));
    return ranges;
}

nlohmann::ordered_json numbers(const std::vector<Measurement>& values) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    for (const Measurement& value : values) {
        if (value.is_number()) json[value.name] = value.values[0];
    }
    return json;
}

void print_table(const std::vector<Measurement>& before, const std::vector<Measurement>& after) {
    print_out(fmt::format("{:<12} {:>12} {:>12}\n", "", "before", "int8"));
    for (std::size_t i = 0; i < before.size(); ++i) {
        if (!before[i].is_number()) continue;
        print_out(fmt::format("{:<12} {:>12.6g} {:>12.6g}\n", before[i].name, before[i].values[0],
                              after[i].values[0]));
    }
}

}  // namespace

int verb_quantize(Options options) {
    const std::vector<std::string> entries{"prepare", "forward", "evaluate", "measure"};
    const std::int64_t batch = options.batch.value_or(64);
    options.observe_ranges = true;
    Result<Loaded> loaded = load_network(options, true, entries, batch);
    if (!loaded) return report(loaded.error());
    if (!options.ranges.empty())
        return report({kExitUsage, options.weights + " is quantized already"});
    Result<std::optional<std::string>> kept = read_kept_rows(options.weights);
    if (!kept) return report(kept.error());
    Result<SectionData> data = load_section_data(
        *loaded->model, *loaded->section, loaded->runnable->program, options,
        loaded->statistics ? &*loaded->statistics : nullptr, *kept ? &**kept : nullptr);
    if (!data) return report(data.error());
    const std::size_t samples =
        std::min(data->train_rows.size(), static_cast<std::size_t>(options.samples));
    Result<std::vector<ValueRange>> ranges = calibrate(
        *loaded, *data, std::span(data->train_rows).first(samples), batch, options.percentile);
    if (!ranges) return report(ranges.error());
    if (ranges->empty())
        return report({kExitUsage, "the model has no product of a batch with weights"});

    const bool held_out = !data->valid_rows.empty();
    const Dataset& set = held_out ? *data->valid_data() : data->train;
    const std::vector<std::int64_t>& rows = held_out ? data->valid_rows : data->train_rows;
    const auto before = evaluate(*loaded->session, set, rows, batch);
    if (!before) return report(before.error());

    Result<Safetensors> weights = read_weights(options.weights, options);
    if (!weights) return report(weights.error());
    weights->metadata["netc.ranges"] = ranges_to_json(*ranges);
    std::vector<TensorView> tensors;
    for (const Safetensors::Tensor& tensor : weights->tensors)
        tensors.push_back({tensor.name, tensor.dtype, tensor.shape, weights->data(tensor)});
    if (Status s = write_safetensors(options.output, tensors, weights->metadata); !s)
        return report(s.error());

    // What was written is what is measured.
    options.observe_ranges = false;
    options.weights = options.output;
    Result<Loaded> integers = load_network(options, true, entries, batch);
    if (!integers) return report(integers.error());
    const auto after = evaluate(*integers->session, set, rows, batch);
    if (!after) return report(after.error());
    if (options.json) {
        print_out(nlohmann::ordered_json{{"contractions", ranges->size()},
                                         {"samples", samples},
                                         {"on", held_out ? "valid" : "train"},
                                         {"rows", rows.size()},
                                         {"before", numbers(*before)},
                                         {"after", numbers(*after)}}
                      .dump() +
                  "\n");
        return kExitDone;
    }
    if (!held_out) print_err("note: no held-out data, these are the training samples\n");
    print_out(fmt::format("{} contractions in 8 bits, their ranges from {} samples\n",
                          ranges->size(), samples));
    print_table(*before, *after);
    return kExitDone;
}

}  // namespace netc
