// netc quantize: ranges of what contractions read, for inference in 8-bit integers; the metrics before and after.

#include <algorithm>
#include <cmath>

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

// The ranges over these samples of the training data.
Result<std::vector<ValueRange>> calibrate(Loaded& loaded, const SectionData& data,
                                          std::span<const std::int64_t> rows, std::int64_t batch) {
    const Entry& entry = loaded.entry("forward");
    std::vector<ValueRange> ranges;
    for (const EntryArgument& output : entry.outputs) {
        if (output.name.starts_with(kLeastOf))
            ranges.push_back({output.name.substr(std::string_view(kLeastOf).size()), 0, 0});
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
        for (ValueRange& range : ranges) {
            const double least = session.number(kLeastOf + range.place);
            const double greatest = session.number(kGreatestOf + range.place);
            if (!std::isfinite(least) || !std::isfinite(greatest)) {
                return Error{kExitRun, fmt::format("`{}` reads infinity or NaN", range.place)};
            }
            range.least = std::min(range.least, least);
            range.greatest = std::max(range.greatest, greatest);
        }
    }
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
    Result<std::vector<ValueRange>> ranges =
        calibrate(*loaded, *data, std::span(data->train_rows).first(samples), batch);
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
