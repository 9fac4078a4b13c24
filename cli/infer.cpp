// netc init, eval, predict: one or a few calls of compiled entries.

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/arrays.h"
#include "cli/initial_weights.h"
#include "cli/loaded_network.h"
#include "cli/section_data.h"
#include "cli/tensor_numbers.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/weights_file.h"
#include "cli/workbench.h"
#include "runtime/data/convert.h"
#include "runtime/data/statistics.h"
#include "runtime/files/files.h"
#include "runtime/files/npy.h"
#include "runtime/files/npz.h"
#include "runtime/train/trainer.h"

namespace netc {

void warn_not_finite(const Safetensors& weights, const std::string& path) {
    for (const std::string& sentence : not_finite_tensors(weights, path))
        print_err("warning: " + sentence + "\n");
}

Result<Loaded> load_network(Options& options, bool wants_section, std::vector<std::string> entries,
                            std::int64_t batch_hint) {
    Loaded loaded;
    Result<Safetensors> weights = read_weights(options.weights, options);
    if (!weights) return weights.error();
    Result<std::unique_ptr<Workbench>> bench = open_workbench(options);
    if (!bench) return bench.error();
    loaded.bench = std::move(*bench);
    if (wants_section) {
        Result<const TrainSection*> section = find_section(*loaded.bench, options);
        if (!section) return section.error();
        loaded.section = *section;
        Result<const Model*> model = find_model(*loaded.bench, loaded.section->model);
        if (!model) return model.error();
        loaded.model = *model;
    } else {
        std::string name = options.name;
        const auto stored = weights->metadata.find("netc.model");
        if (name.empty() && stored != weights->metadata.end()) name = stored->second;
        Result<const Model*> model = find_model(*loaded.bench, name);
        if (!model && options.name.empty()) model = find_model(*loaded.bench, "");
        if (!model) return model.error();
        loaded.model = *model;
        Result<const TrainSection*> section = section_of(*loaded.bench, *loaded.model, options);
        if (!section) return section.error();
        loaded.section = *section;
    }
    Result<std::unique_ptr<Runnable>> runnable =
        make_runnable(*loaded.model, loaded.section, options, std::move(entries), batch_hint);
    if (!runnable) return runnable.error();
    loaded.runnable = std::move(*runnable);
    Result<Session> session =
        Session::create(loaded.runnable->program, *loaded.runnable->executable);
    if (!session) return session.error();
    loaded.session = std::move(*session);
    Result<LoadReport> taken = load_weights(*loaded.session, *weights, options.weights, false);
    if (!taken) return taken.error();
    warn_not_finite(*weights, options.weights);
    const auto data = weights->metadata.find(kDataMetadata);
    if (data != weights->metadata.end()) {
        Result<DataStatistics> statistics = statistics_from_json(data->second);
        if (!statistics) return statistics.error();
        loaded.statistics = std::move(*statistics);
    }
    loaded.session->set_seed(
        options.seed.value_or(loaded.section != nullptr ? loaded.section->seed : 0));
    return loaded;
}

namespace {

double element(DType dtype, const std::byte* bytes, std::size_t i) {
    return load_number(dtype, bytes + i * static_cast<std::size_t>(size_of(dtype)));
}

nlohmann::json nested(const EntryArgument& argument, std::span<const std::byte> bytes,
                      const std::vector<std::int64_t>& shape, std::size_t dim, std::size_t& at) {
    if (dim == shape.size()) {
        const std::size_t i = at++;
        if (argument.dtype == DType::i64) {
            return load_as<std::int64_t>(bytes.data() + i * sizeof(std::int64_t));
        }
        const double value = element(argument.dtype, bytes.data(), i);
        if (is_int(argument.dtype)) return static_cast<std::int64_t>(value);
        if (argument.dtype == DType::b1) return value != 0;
        return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
    }
    nlohmann::json list = nlohmann::json::array();
    for (std::int64_t i = 0; i < shape[dim]; ++i)
        list.push_back(nested(argument, bytes, shape, dim + 1, at));
    return list;
}

nlohmann::ordered_json outputs_json(const Entry& entry, const Session& session,
                                    std::int64_t batch) {
    nlohmann::ordered_json json;
    for (std::size_t i = 0; i < entry.outputs.size(); ++i) {
        std::size_t at = 0;
        json[entry.outputs[i].name] =
            nested(entry.outputs[i], session.output(i), shape_at(entry.outputs[i], batch), 0, at);
    }
    return json;
}

// Five digits of a float, all of an int.
std::string cell_text(DType dtype, const std::byte* bytes, std::size_t i) {
    if (is_float(dtype)) return fmt::format("{:>10.5g}", element(dtype, bytes, i));
    return fmt::format("{:>10}",
                       number_text(dtype, bytes + i * static_cast<std::size_t>(size_of(dtype))));
}

// A row per sample, at most 20 rows and 12 columns.
void print_table(const Entry& entry, const Session& session, std::int64_t batch) {
    for (std::size_t i = 0; i < entry.outputs.size(); ++i) {
        const EntryArgument& output = entry.outputs[i];
        const std::vector<std::int64_t> shape = shape_at(output, batch);
        const std::int64_t rows = shape.empty() ? 1 : shape[0];
        std::int64_t columns = 1;
        for (std::size_t d = 1; d < shape.size(); ++d) columns *= shape[d];
        print_out(
            fmt::format("{} {}[{}]\n", output.name, name_of(output.dtype), fmt::join(shape, ", ")));
        for (std::int64_t r = 0; r < std::min<std::int64_t>(rows, 20); ++r) {
            std::string line = fmt::format("{:>6} ", r);
            for (std::int64_t c = 0; c < std::min<std::int64_t>(columns, 12); ++c) {
                line += " " + cell_text(output.dtype, session.output(i).data(),
                                        static_cast<std::size_t>(r * columns + c));
            }
            print_out(line + (columns > 12 ? fmt::format("  ... {} in all\n", columns) : "\n"));
        }
        if (rows > 20) print_out(fmt::format("  ... {} rows in all\n", rows));
    }
}

Status write_outputs(const std::string& path, const Entry& entry, const Session& session,
                     std::int64_t batch) {
    auto file_of = [&](const EntryArgument& output) {
        if (entry.outputs.size() == 1) return path;
        const std::size_t dot = path.rfind('.');
        return path.substr(0, dot) + "." + output.name + path.substr(dot);
    };
    if (path.ends_with(".json")) {
        return write_file_atomically(path, outputs_json(entry, session, batch).dump() + "\n");
    }
    if (path.ends_with(".npz")) {
        std::vector<TensorView> arrays;
        for (std::size_t i = 0; i < entry.outputs.size(); ++i) {
            const EntryArgument& output = entry.outputs[i];
            arrays.push_back(
                {output.name, output.dtype, shape_at(output, batch), session.output(i)});
        }
        return write_npz(path, arrays);
    }
    const bool npy = path.ends_with(".npy");
    if (!npy && !path.ends_with(".csv")) {
        return Error{kExitUsage,
                     fmt::format("{}: outputs are written as .npy, .npz, .csv or .json", path)};
    }
    for (std::size_t i = 0; i < entry.outputs.size(); ++i) {
        const EntryArgument& output = entry.outputs[i];
        const std::vector<std::int64_t> shape = shape_at(output, batch);
        const Status status =
            npy ? write_npy(file_of(output), output.dtype, shape, session.output(i))
                : write_csv(file_of(output), output.dtype, shape, session.output(i));
        if (!status) return status;
    }
    return {};
}

nlohmann::json nested(const Measurement& measured, std::size_t dim, std::size_t& at) {
    if (dim == measured.shape.size()) {
        const double value = measured.values[at++];
        return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
    }
    nlohmann::json list = nlohmann::json::array();
    for (std::int64_t i = 0; i < measured.shape[dim]; ++i)
        list.push_back(nested(measured, dim + 1, at));
    return list;
}

// A number behind its name; a table below it, a line for each index of all dims but the last.
void print_measurement(const Measurement& measured) {
    if (measured.is_number()) {
        print_out(fmt::format("{:<12} {:.6g}\n", measured.name, measured.values[0]));
        return;
    }
    print_out(measured.name + "\n");
    const auto columns = static_cast<std::size_t>(measured.shape.back());
    for (std::size_t i = 0; i < measured.values.size(); ++i) {
        const bool last = i % columns == columns - 1;
        print_out(fmt::format(" {:>7.6g}{}", measured.values[i], last ? "\n" : ""));
    }
}

// Once for each input, whatever file it is from.
void warn_far_outside(const Loaded& loaded, const Entry& entry, const CallInputs& inputs) {
    if (!loaded.statistics) return;
    for (std::size_t i = 0; i < entry.inputs.size(); ++i) {
        const EntryArgument& input = entry.inputs[i];
        if (!is_float(input.dtype)) continue;
        const auto known =
            std::ranges::find(*loaded.statistics, input.name, &FieldStatistics::name);
        if (known == loaded.statistics->end()) continue;
        const NumberSummary found = summarize(input.dtype, inputs.arrays[i].bytes);
        if (found.finite() == 0) continue;
        if (const auto warning = warn_far_outside(*known, found.min, found.max))
            print_err("warning: " + *warning + "\n");
    }
}

// The rows of a table through the section's selectors, for predict --rows.
Result<CallInputs> read_rows(const Loaded& loaded, const Entry& entry, const Options& options) {
    if (loaded.section == nullptr || !loaded.section->data) {
        return Error{
            kExitUsage,
            "--rows needs a train section with `data`: its selectors say which columns are meant"};
    }
    LoadOptions load_options;
    load_options.root = ".";
    load_options.trained = loaded.statistics ? &*loaded.statistics : nullptr;
    load_options.inputs_only = true;
    Result<Dataset> data = load_rows(*loaded.section->data, options.rows,
                                     field_requests(entry, *loaded.model), load_options);
    if (!data) return data.error();
    std::vector<std::int64_t> rows(static_cast<std::size_t>(data->rows));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
    CallInputs call;
    call.batch = data->rows;
    for (const EntryArgument& input : entry.inputs) {
        const Field* field = find_field(*data, input.name);
        Array array;
        array.dtype = input.dtype;
        array.shape = shape_at(input, data->rows);
        array.bytes.resize(rows.size() * static_cast<std::size_t>(field->sample_bytes()));
        gather(*field, rows, array.bytes.data());
        call.arrays.push_back(std::move(array));
    }
    return call;
}

}  // namespace

int verb_init(Options options) {
    Result<Opened> opened = open_model(options);
    if (!opened) return report(opened.error());
    const auto& [bench, model, section] = *opened;
    Result<std::unique_ptr<Runnable>> runnable =
        make_runnable(*model, section, options, {"init"}, 1);
    if (!runnable) return report(runnable.error());
    Result<Session> session = Session::create((*runnable)->program, *(*runnable)->executable);
    if (!session) return report(session.error());
    const std::uint64_t seed = options.seed.value_or(section != nullptr ? section->seed : 0);
    if (Status s = initialize_weights(*session, *model, section, seed); !s) {
        return report(s.error());
    }
    if (auto loaded = load_initial_weights(*session, section, options, true); !loaded)
        return report(loaded.error());
    const Metadata metadata =
        weights_metadata(*bench, *model, section, (*runnable)->program, options, nullptr);
    Result<std::vector<TensorView>> tensors = weight_tensors(*session);
    if (!tensors) return report(tensors.error());
    if (Status s = write_safetensors(options.output, *tensors, metadata); !s) {
        return report(s.error());
    }
    return kExitDone;
}

int verb_eval(Options options) {
    Result<Loaded> loaded =
        load_network(options, true, {"evaluate", "measure"}, options.batch.value_or(64));
    if (!loaded) return report(loaded.error());
    Result<std::optional<std::string>> kept = read_kept_rows(options.weights);
    if (!kept) return report(kept.error());
    Result<SectionData> data = load_section_data(
        *loaded->model, *loaded->section, loaded->runnable->program, options,
        loaded->statistics ? &*loaded->statistics : nullptr, *kept ? &**kept : nullptr);
    if (!data) return report(data.error());
    const bool held_out = !data->valid_rows.empty();
    const Dataset* set = options.on == "train"  ? &data->train
                         : options.on == "test" ? data->test_data()
                         : held_out             ? data->valid_data()
                                                : &data->train;
    const std::vector<std::int64_t>& rows = options.on == "train"  ? data->train_rows
                                            : options.on == "test" ? data->test_rows
                                            : held_out             ? data->valid_rows
                                                                   : data->train_rows;
    if (rows.empty())
        return report({kExitUsage, fmt::format("the train section has no {} data", options.on)});
    if (options.on == "valid" && !held_out)
        print_err("note: no held-out data, these are the training samples\n");
    auto values =
        evaluate(*loaded->session, *set, rows, options.batch.value_or(loaded->section->batch));
    if (!values) return report(values.error());
    if (options.json) {
        nlohmann::ordered_json json;
        json["model"] = loaded->model->name;
        json["on"] = held_out || options.on != "valid" ? options.on : "train";
        json["rows"] = rows.size();
        json["metrics"] = nlohmann::ordered_json::object();
        for (const Measurement& value : *values) {
            std::size_t at = 0;
            json["metrics"][value.name] = nested(value, 0, at);
        }
        print_out(json.dump() + "\n");
    } else {
        for (const Measurement& value : *values) print_measurement(value);
    }
    return finish_profile(options, *loaded->runnable, kExitDone);
}

int verb_predict(Options options) {
    if (options.rows.empty() == options.inputs.empty()) {
        return report(
            {kExitUsage, "predict wants --input NAME=FILE for every input, or --rows FILE"});
    }
    Result<Loaded> loaded =
        load_network(options, false, {"prepare", "forward"}, options.batch.value_or(64));
    if (!loaded) return report(loaded.error());
    const Entry& entry = loaded->entry("forward");
    Result<CallInputs> inputs = options.rows.empty() ? read_call_inputs(entry, options.inputs)
                                                     : read_rows(*loaded, entry, options);
    if (!inputs) return report(inputs.error());
    if (Status s = check_ranges(entry, *inputs); !s) return report(s.error());
    warn_far_outside(*loaded, entry, *inputs);
    if (Status s = loaded->session->run("prepare", {}, 1); !s) return report(s.error());
    Status ran = loaded->session->run("forward", inputs->pointers(), inputs->batch);
    if (ran) ran = loaded->session->wait();
    if (!ran) return report(ran.error());
    if (!options.output.empty()) {
        Status s = write_outputs(options.output, entry, *loaded->session, inputs->batch);
        return finish_profile(options, *loaded->runnable, s ? kExitDone : report(s.error()));
    }
    if (options.json) {
        print_out(outputs_json(entry, *loaded->session, inputs->batch).dump() + "\n");
    } else {
        print_table(entry, *loaded->session, inputs->batch);
    }
    return finish_profile(options, *loaded->runnable, kExitDone);
}

}  // namespace netc
