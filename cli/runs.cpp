// netc runs: a row per training run of a directory, from its log and its command.json.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/run_record.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "frontend/suggest.h"
#include "runtime/files/files.h"

namespace netc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Run {
    std::string path, name, section, state, started, watch, note;
    std::optional<double> epochs, steps, loss, rate, seconds, best_epoch;
    std::vector<std::pair<std::string, double>> metrics;       // of the best epoch
    std::vector<std::pair<std::string, std::string>> options;  // of the last start
};

std::optional<double> number(const Json& json, const char* key) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
}

std::string text(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string plain(const Json& value) {
    return value.is_string() ? value.get<std::string>()
                             : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_run(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path / "log.jsonl", ignored) || fs::exists(path / kRecordFile, ignored) ||
           fs::exists(path / "state.safetensors", ignored);
}

// Whether a process trains there. Looking takes the lock for a moment, so it is only done where no end is
// noted.
bool is_held(const std::string& path) {
    const int lock = ::open((path + "/.lock").c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (lock < 0) return false;
    const bool held = ::flock(lock, LOCK_SH | LOCK_NB) != 0;
    ::close(lock);
    return held;
}

void read_record(Run& run) {
    const Json record = read_run_record(run.path);
    std::error_code ignored;
    if (record.empty()) {
        if (fs::exists(fs::path(run.path) / kRecordFile, ignored))
            run.note = "command.json is damaged";
        struct stat info{};
        if (::stat((run.path + "/log.jsonl").c_str(), &info) == 0)
            run.started = iso_time(static_cast<double>(info.st_mtime));
        if (is_held(run.path)) run.state = "running";
        return;
    }
    const Json& last = record.back();
    run.started = text(record.front(), "started");
    run.section = text(last, "section");
    run.watch = text(last, "watch");
    for (const char* group : {"options", "settings"}) {
        const auto found = last.find(group);
        if (found == last.end() || !found->is_object()) continue;
        for (const auto& [name, value] : found->items())
            run.options.emplace_back(name, plain(value));
    }
    // A changed program is seen as one, although not what changed.
    if (const Result<std::string> source = read_file(run.path + "/" + kSourceFile)) {
        std::uint32_t hash = 2166136261u;  // FNV-1a
        for (const char c : *source) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
        run.options.emplace_back("source", fmt::format("{:08x}", hash));
    }
    const auto status = last.find("status");
    if (status != last.end() && status->is_number_integer()) {
        const auto code = status->get<std::int64_t>();
        run.state = code == kExitDone          ? "finished"
                    : code == kExitInterrupted ? "interrupted"
                                               : fmt::format("failed ({})", code);
    } else {
        run.state = is_held(run.path) ? "running" : "interrupted";
    }
}

void take_best(Run& run, const Json& line, std::optional<double>& best) {
    const auto metrics = line.find("metrics");
    if (metrics == line.end() || !metrics->is_object()) return;
    std::string watch = run.watch;
    if (watch.empty()) watch = metrics->contains("valid.loss") ? "min valid.loss" : "min loss";
    const std::string name = watch.substr(std::min(watch.size(), std::size_t{4}));
    const auto value = name == "loss" ? number(line, "loss") : number(*metrics, name.c_str());
    const bool first = !run.best_epoch;
    if (value && (!best || (watch.starts_with("max") ? *value > *best : *value < *best))) {
        best = value;
    } else if (!first) {
        return;
    }
    run.best_epoch = number(line, "epoch");
    run.metrics.clear();
    for (const auto& [key, measured] : metrics->items()) {
        if (measured.is_number()) run.metrics.emplace_back(key, measured.get<double>());
    }
}

void read_log(Run& run) {
    std::error_code ignored;
    if (!fs::exists(run.path + "/log.jsonl", ignored)) return;
    const Result<std::string> log = read_file(run.path + "/log.jsonl");
    if (!log) {
        run.note = log.error().message;
        return;
    }
    std::optional<double> best;
    int number_of_line = 0;
    std::size_t begin = 0;
    // What follows the last line break is being written, or was when the process was killed.
    for (std::size_t end; (end = log->find('\n', begin)) != std::string::npos; begin = end + 1) {
        ++number_of_line;
        const Json line =
            Json::parse(log->begin() + static_cast<std::ptrdiff_t>(begin),
                        log->begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
        if (!line.is_object() || !number(line, "epoch")) {
            run.note = fmt::format("line {} of log.jsonl is damaged", number_of_line);
            continue;
        }
        run.epochs = number(line, "epoch");
        run.steps = number(line, "step");
        run.loss = number(line, "loss");
        run.rate = number(line, "lr");
        run.seconds = number(line, "seconds");
        take_best(run, line, best);
    }
}

Run read_run(const fs::path& path) {
    Run run;
    run.path = path.string();
    std::error_code ignored;
    const fs::path real = fs::canonical(path, ignored);  // runs/latest is another's name
    run.name = (ignored ? path : real).filename().string();
    read_record(run);
    read_log(run);
    return run;
}

Result<std::vector<Run>> find_runs(const std::string& directory) {
    std::error_code code;
    if (!fs::is_directory(directory, code)) {
        return Error{
            kExitData,
            fmt::format("there is no directory {}", directory),
            {},
            "`netc train` makes `runs` where it is started; `netc runs DIR` looks elsewhere"};
    }
    std::vector<Run> runs;
    if (is_run(directory)) return std::vector<Run>{read_run(directory)};
    fs::directory_iterator entry(directory, code), end;
    for (; !code && entry != end; entry.increment(code)) {
        std::error_code ignored;
        const fs::path& path = entry->path();
        // runs/latest is another name of one of them.
        if (fs::is_symlink(path, ignored) && path.filename() == "latest") continue;
        if (fs::is_directory(path, ignored) && is_run(path)) runs.push_back(read_run(path));
    }
    if (code) {
        return Error{kExitData,
                     fmt::format("cannot read {}: {}", directory, describe_errno(code.value()))};
    }
    std::ranges::sort(runs, [](const Run& a, const Run& b) {
        return std::tie(a.started, a.name) < std::tie(b.started, b.name);
    });
    return runs;
}

// ---- columns ------------------------------------------------------------------------------------

std::optional<double> metric(const Run& run, const std::string& name) {
    for (const auto& [key, value] : run.metrics) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::optional<double> value_of(const Run& run, const std::string& name) {
    if (name == "loss") return run.loss;
    if (name == "lr") return run.rate;
    if (name == "seconds") return run.seconds;
    if (name == "epochs") return run.epochs;
    if (name == "steps") return run.steps;
    return metric(run, name);
}

std::vector<std::string> metric_names(const std::vector<Run>& runs) {
    std::vector<std::string> names;
    for (const Run& run : runs) {
        for (const auto& [name, value] : run.metrics) {
            if (std::ranges::find(names, name) == names.end()) names.push_back(name);
        }
    }
    return names;
}

const std::string* option(const Run& run, const std::string& name) {
    for (const auto& [key, value] : run.options) {
        if (key == name) return &value;
    }
    return nullptr;
}

// Those that not all runs have alike; runs that say nothing about their options do not count.
std::vector<std::string> options_that_differ(const std::vector<Run>& runs) {
    std::vector<std::string> names;
    for (const Run& run : runs) {
        for (const auto& [name, value] : run.options) {
            if (std::ranges::find(names, name) == names.end()) names.push_back(name);
        }
    }
    std::erase_if(names, [&](const std::string& name) {
        if (name == "epochs" || name == "steps") return true;  // how far a run came is a column
        std::set<std::string> values;
        for (const Run& run : runs) {
            if (run.options.empty()) continue;
            const std::string* value = option(run, name);
            values.insert(value == nullptr ? std::string("\1none") : *value);
        }
        return values.size() < 2;
    });
    return names;
}

Status sort_by(std::vector<Run>& runs, std::string name) {
    const bool descending = name.starts_with('-');
    if (descending) name.erase(0, 1);
    std::vector<std::string> known = {"loss", "lr", "seconds", "epochs", "steps"};
    for (const std::string& metric : metric_names(runs)) known.push_back(metric);
    if (std::ranges::find(known, name) == known.end()) {
        const auto meant = suggest(name, known);
        return Error{
            kExitUsage,
            fmt::format("--sort: no run has a `{}`; there are {}", name, fmt::join(known, ", ")),
            {},
            meant ? fmt::format("did you mean `{}`?", *meant) : std::string()};
    }
    std::ranges::stable_sort(runs, [&](const Run& a, const Run& b) {
        const std::optional<double> x = value_of(a, name), y = value_of(b, name);
        if (!x || !y) return !x && y.has_value();
        return descending ? *y < *x : *x < *y;
    });
    return {};
}

Json to_json(const Run& run) {
    const auto value = [](const std::optional<double>& number) {
        return number ? Json(*number) : Json(nullptr);
    };
    const auto whole = [](const std::optional<double>& number) {
        return number ? Json(static_cast<std::int64_t>(*number)) : Json(nullptr);
    };
    Json json;
    json["name"] = run.name;
    json["directory"] = run.path;
    json["section"] = run.section;
    json["state"] = run.state;
    json["started"] = run.started;
    json["epochs"] = whole(run.epochs);
    json["steps"] = whole(run.steps);
    json["loss"] = value(run.loss);
    json["lr"] = value(run.rate);
    json["seconds"] = value(run.seconds);
    json["watch"] = run.watch;
    json["best_epoch"] = whole(run.best_epoch);
    json["metrics"] = Json::object();
    for (const auto& [name, measured] : run.metrics) json["metrics"][name] = measured;
    json["options"] = Json::object();
    for (const auto& [name, chosen] : run.options) json["options"][name] = chosen;
    if (!run.note.empty()) json["note"] = run.note;
    return json;
}

void print_table(const std::vector<Run>& runs, const std::string& sorted) {
    std::vector<std::string> metrics = metric_names(runs);
    const bool held_out = std::ranges::any_of(
        metrics, [](const std::string& name) { return name.starts_with("valid."); });
    if (held_out) {
        std::erase_if(metrics, [&](const std::string& name) {
            return !name.starts_with("valid.") && sorted.find(name) == std::string::npos;
        });
    }
    const std::vector<std::string> differing = options_that_differ(runs);
    const bool rate = sorted == "lr" || sorted == "-lr";
    std::vector<std::vector<std::string>> rows(1);
    rows[0] = {"run", "section", "state", "epochs", "steps", "loss"};
    rows[0].insert(rows[0].end(), metrics.begin(), metrics.end());
    if (rate) rows[0].emplace_back("lr");
    rows[0].emplace_back("seconds");
    rows[0].insert(rows[0].end(), differing.begin(), differing.end());
    const auto shown = [](const std::optional<double>& number, int digits) {
        return number ? fmt::format("{:.{}g}", *number, digits) : std::string("-");
    };
    const auto worded = [](const std::string& word) { return word.empty() ? "-" : word; };
    for (const Run& run : runs) {
        std::vector<std::string> row = {run.name,
                                        worded(run.section),
                                        worded(run.state),
                                        shown(run.epochs, 15),
                                        shown(run.steps, 15),
                                        shown(run.loss, 4)};
        for (const std::string& name : metrics) row.push_back(shown(metric(run, name), 4));
        if (rate) row.push_back(shown(run.rate, 4));
        row.push_back(run.seconds ? fmt::format("{:.1f}", *run.seconds) : "-");
        for (const std::string& name : differing) {
            const std::string* value = option(run, name);
            row.push_back(value == nullptr ? "-" : *value);
        }
        rows.push_back(std::move(row));
    }
    std::vector<std::size_t> widths(rows[0].size());
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += i < 3 ? fmt::format("{:<{}}  ", row[i], widths[i])
                          : fmt::format("{:>{}}  ", row[i], widths[i]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        print_out(line + "\n");
    }
    for (const Run& run : runs) {
        if (!run.note.empty()) print_err(fmt::format("note: {}: {}\n", run.name, run.note));
    }
}

}  // namespace

int verb_runs(Options options) {
    const std::string directory = options.file.empty() ? "runs" : options.file;
    Result<std::vector<Run>> runs = find_runs(directory);
    if (!runs) return report(runs.error());
    if (!options.sort.empty() && !runs->empty()) {
        if (Status s = sort_by(*runs, options.sort); !s) return report(s.error());
    }
    if (options.json) {
        Json list = Json::array();
        for (const Run& run : *runs) list.push_back(to_json(run));
        print_out(list.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
        return kExitDone;
    }
    if (runs->empty()) {
        print_err(fmt::format("note: there is no run in {}\n", directory));
        return kExitDone;
    }
    print_table(*runs, options.sort);
    return kExitDone;
}

}  // namespace netc
