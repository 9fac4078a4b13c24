// netc gradcheck: the compiled backward pass against central differences of the double-precision
// interpreter, a row per parameter, at its source line.

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/interpreter.h"
#include "cli/initial_weights.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "ir/philox.h"
#include "runtime/data/convert.h"

namespace netc {
namespace {

constexpr double kTolerance = 1e-3;  // of the largest entry; f32 gradients reach about 1e-5
constexpr double kSmall = 1e-3;  // of the largest gradient of all: below it, entries are rounding
constexpr std::int64_t kEntries = 16;  // looked at per parameter
constexpr double kStep = 1e-5;         // relative; rounding then costs about 1e-11 of the loss

struct Row {
    std::string path, place;
    std::int64_t checked = 0, kinks = 0;
    double error = 0;
};

// Inputs drawn from a normal-like distribution, labels below their limit: the same for both sides.
struct Sample {
    std::vector<std::vector<std::byte>> bytes;
    std::vector<std::vector<double>> numbers;
};

Sample draw(const Entry& entry, std::int64_t batch, std::uint64_t seed) {
    Sample sample;
    for (std::uint32_t i = 0; i < entry.inputs.size(); ++i) {
        const EntryArgument& input = entry.inputs[i];
        std::int64_t count = 1;
        for (const Extent& extent : input.dims) count *= extent.at(batch);
        const std::int64_t limit = entry.least_limit(i).value_or(2);
        PhiloxStream random(seed, i, 0);
        std::vector<double> numbers;
        std::vector<std::byte> bytes(static_cast<std::size_t>(count * size_of(input.dtype)) + 64);
        for (std::int64_t k = 0; k < count; ++k) {
            const double u = random.uniform();
            const double value = is_float(input.dtype)
                                     ? static_cast<double>(static_cast<float>(4 * u - 2))
                                     : std::floor(u * static_cast<double>(limit));
            numbers.push_back(value);
            const auto narrow = static_cast<float>(value);
            const auto integer = static_cast<std::int64_t>(value);
            const void* from = input.dtype == DType::f64   ? static_cast<const void*>(&value)
                               : input.dtype == DType::f32 ? static_cast<const void*>(&narrow)
                                                           : &integer;  // little endian
            std::memcpy(bytes.data() + k * size_of(input.dtype), from,
                        static_cast<std::size_t>(size_of(input.dtype)));
        }
        sample.bytes.push_back(std::move(bytes));
        sample.numbers.push_back(std::move(numbers));
    }
    return sample;
}

class Check {
public:
    // `largest`: the largest entry of all gradients.
    Check(Interpretation& reference, std::int64_t batch, double largest)
        : reference_(reference), batch_(batch), floor_(std::max(kSmall * largest, 1e-6)) {}

    Result<Row> parameter(const VariablePlace& place, std::span<const std::byte> compiled) {
        Row row;
        row.path = place.name;
        Result<std::vector<double>> values = reference_.variable(place.name);
        if (!values) return values.error();
        const std::size_t count = values->size();
        std::vector<double> gradient(count);
        const auto size = static_cast<std::size_t>(size_of(place.dtype));
        for (std::size_t i = 0; i < count; ++i) {
            gradient[i] = load_number(place.dtype, compiled.data() + i * size);
        }
        // The largest entry, and others spread over the tensor.
        std::vector<std::size_t> chosen;
        chosen.push_back(static_cast<std::size_t>(
            std::ranges::max_element(gradient, {}, [](double g) { return std::abs(g); }) -
            gradient.begin()));
        const std::size_t stride =
            std::max<std::size_t>(1, count / static_cast<std::size_t>(kEntries));
        for (std::size_t i = 0; i < count && chosen.size() < static_cast<std::size_t>(kEntries);
             i += stride) {
            if (i != chosen[0]) chosen.push_back(i);
        }
        const double scale = std::max(std::abs(gradient[chosen[0]]), floor_);
        for (const std::size_t i : chosen) {
            const double at = (*values)[i], h = kStep * std::max(1.0, std::abs(at));
            Result<double> up = loss_with(place, *values, i, at + h);
            Result<double> down = loss_with(place, *values, i, at - h);
            Result<double> middle = loss_with(place, *values, i, at);
            if (!up) return up.error();
            if (!down) return down.error();
            if (!middle) return middle.error();
            const double central = (*up - *down) / (2 * h);
            const double right = (*up - *middle) / h, left = (*middle - *down) / h;
            row.checked += 1;
            // At a kink the two sides differ by much more than the curvature explains, and the compiled
            // gradient is one of them or lies between.
            const double slack = kTolerance * scale;
            if (std::abs(right - left) > 10 * slack &&
                gradient[i] > std::min(left, right) - slack &&
                gradient[i] < std::max(left, right) + slack) {
                row.kinks += 1;
                continue;
            }
            const double error = std::abs(central - gradient[i]) / scale;
            row.error = std::isnan(error) ? error : std::max(row.error, error);
            if (std::isnan(error)) break;
        }
        return row;
    }

private:
    Result<double> loss_with(const VariablePlace& place, std::vector<double>& values, std::size_t i,
                             double value) {
        const double old = std::exchange(values[i], value);
        Status s = reference_.set_variable(place.name, values);
        values[i] = old;
        if (!s) return s.error();
        if (s = reference_.run("gradient", batch_); !s) return s.error();
        Result<std::vector<double>> loss = reference_.output("gradient", "loss");
        if (!loss) return loss.error();
        if (s = reference_.set_variable(place.name, values); !s) return s.error();
        return (*loss)[0];
    }

    Interpretation& reference_;
    std::int64_t batch_;
    double floor_;
};

double largest_entry(const Entry& entry, const Session& session) {
    double largest = 0;
    for (std::size_t i = 0; i < entry.outputs.size(); ++i) {
        const DType dtype = entry.outputs[i].dtype;
        if (!entry.outputs[i].name.starts_with("grad:")) continue;
        const std::size_t count =
            session.output(i).size() / static_cast<std::size_t>(size_of(dtype));
        for (std::size_t k = 0; k < count; ++k) {
            largest = std::max(
                largest,
                std::abs(load_number(dtype, session.output(i).data() +
                                                k * static_cast<std::size_t>(size_of(dtype)))));
        }
    }
    return largest;
}

Status copy_weights(const Program& program, const Session& from, Interpretation& to) {
    for (const VariablePlace& place : program.weights) {
        const std::span<const std::byte> bytes = from.variable(place);
        const auto size = static_cast<std::size_t>(size_of(place.dtype));
        std::vector<double> values(bytes.size() / size);
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (place.dtype == DType::f64) {
                std::memcpy(&values[i], bytes.data() + i * size, size);
            } else {
                float value;
                std::memcpy(&value, bytes.data() + i * size, sizeof value);
                values[i] = static_cast<double>(value);
            }
        }
        if (Status s = to.set_variable(place.name, values); !s) return s;
    }
    return {};
}

int print_rows(const Options& options, const std::vector<Row>& rows) {
    bool good = true;
    std::size_t width = 9;
    for (const Row& row : rows) {
        good = good && row.error <= kTolerance;
        width = std::max(width, row.path.size());
    }
    if (options.json) {
        nlohmann::ordered_json json = nlohmann::ordered_json::array();
        for (const Row& row : rows) {
            json.push_back({{"parameter", row.path},
                            {"error", row.error},
                            {"checked", row.checked},
                            {"kinks", row.kinks},
                            {"place", row.place}});
        }
        print_out(json.dump() + "\n");
    } else {
        print_out(fmt::format("{:<{}}  {:>14}  {:>8}  {:>6}  declared at\n", "parameter", width,
                              "relative error", "checked", "kinks"));
        for (const Row& row : rows) {
            print_out(fmt::format("{:<{}}  {:>14.2e}  {:>8}  {:>6}  {}{}\n", row.path, width,
                                  row.error, row.checked, row.kinks, row.place,
                                  row.error <= kTolerance ? "" : "  WRONG"));
        }
    }
    return good ? kExitDone : kExitRun;
}

}  // namespace

int verb_gradcheck(Options options) {
    std::optional<Safetensors> weights;
    if (!options.weights.empty()) {
        Result<Safetensors> read = read_weights(options.weights, options);
        if (!read) return report(read.error());
        weights = std::move(*read);
    }
    Result<std::unique_ptr<Workbench>> bench = open_workbench(options);
    if (!bench) return report(bench.error());
    Result<const TrainSection*> section = find_section(**bench, options);
    if (!section) return report(section.error());
    Result<const Model*> model = find_model(**bench, (*section)->model);
    if (!model) return report(model.error());
    const std::int64_t batch = options.batch.value_or(4);
    // A rounded function has steps where differences should see a slope.
    options.matmul = options.matmul.value_or(Precision::f32);
    Result<std::unique_ptr<Runnable>> runnable =
        make_runnable(**model, *section, options, {"init", "gradient"}, batch, false, true);
    if (!runnable) return report(runnable.error());
    const Program& program = (*runnable)->program;
    Result<Session> session = Session::create(program, *(*runnable)->executable);
    if (!session) return report(session.error());
    const std::uint64_t seed = options.seed.value_or((*section)->seed);
    if (Status s = initialize_weights(*session, **model, *section, seed); !s) {
        return report(s.error());
    }
    if (weights) {
        if (auto r = load_weights(*session, *weights, options.weights, false); !r)
            return report(r.error());
    }
    const Entry& entry = *program.find("gradient");
    const Sample sample = draw(entry, batch, seed + 1);
    std::vector<const std::byte*> pointers;
    for (const auto& bytes : sample.bytes) pointers.push_back(bytes.data());
    if (Status s = session->run("gradient", pointers, batch); !s) return report(s.error());
    if (Status s = session->wait(); !s) return report(s.error());

    Result<Interpretation> reference = Interpretation::make(program);
    if (!reference) return report(reference.error());
    reference->set_hyper(static_cast<std::int64_t>(seed), 0, std::nan(""));
    if (Status s = copy_weights(program, *session, *reference); !s) return report(s.error());
    for (std::size_t i = 0; i < entry.inputs.size(); ++i) {
        if (Status s = reference->set_input("gradient", entry.inputs[i].name, sample.numbers[i]);
            !s)
            return report(s.error());
    }
    Check check(*reference, batch, largest_entry(entry, *session));
    std::vector<Row> rows;
    for (std::size_t i = 0; i < entry.outputs.size(); ++i) {
        if (!entry.outputs[i].name.starts_with("grad:")) continue;
        const VariablePlace* place = session->find_weight(entry.outputs[i].name.substr(5));
        Result<Row> row = check.parameter(*place, session->output(i));
        if (!row) return report(row.error());
        for (const Variable& variable : (*section)->module.variables) {
            if (variable.name == place->name)
                row->place = (*bench)->sources.describe(variable.span);
        }
        rows.push_back(std::move(*row));
    }
    return print_rows(options, rows);
}

}  // namespace netc
