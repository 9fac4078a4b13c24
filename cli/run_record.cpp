#include "cli/run_record.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "passes/precision.h"
#include "runtime/files/files.h"

namespace netc {
namespace {

using Json = nlohmann::ordered_json;

std::string now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return iso_time(std::chrono::duration<double>(since).count());
}

Status write(const std::string& directory, const Json& record) {
    // Paths need not be UTF-8.
    const std::string text = record.dump(2, ' ', false, Json::error_handler_t::replace);
    return write_file_atomically(directory + "/" + kRecordFile, text + "\n");
}

Json pairs(const std::vector<std::string>& texts) {
    Json json = Json::object();
    for (const std::string& text : texts) {
        const std::size_t equals = text.find('=');
        json[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return json;
}

// As a shell reads it back.
std::string shell_word(std::string_view word) {
    const bool plain = !word.empty() && std::ranges::all_of(word, [](unsigned char c) {
        return std::isalnum(c) != 0 || c >= 0x80 || std::strchr("_./=:,+-%@", c) != nullptr;
    });
    if (plain) return std::string(word);
    std::string text = "'";
    for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
    return text + "'";
}

// How many words an option that begins a run takes with it; none where the word is no such option.
std::optional<int> words_of_beginning(std::string_view word, std::string_view next) {
    for (const std::string_view option : {"--run", "--load", "--load-map", "--resume"}) {
        if (word.starts_with(option) && word.substr(option.size()).starts_with('=')) return 1;
        if (word != option) continue;
        return option == "--resume" && (next.empty() || next.starts_with('-')) ? 1 : 2;
    }
    return word == "--partial" ? std::optional(1) : std::nullopt;
}

}  // namespace

std::string command_to_go_on(const Options& options, const std::string& directory) {
    std::string command = "netc";
    const std::vector<std::string>& words = options.arguments;
    for (std::size_t i = 0; i < words.size();) {
        const std::string_view next = i + 1 < words.size() ? std::string_view(words[i + 1]) : "";
        const auto left_out = words_of_beginning(words[i], next);
        if (!left_out) command += ' ' + shell_word(words[i]);
        i += static_cast<std::size_t>(left_out.value_or(1));
    }
    return command + " --resume " + shell_word(directory);
}

std::string iso_time(double unix_seconds) {
    const double whole = std::floor(unix_seconds);
    const auto time = static_cast<std::time_t>(whole);
    std::tm utc{};
    ::gmtime_r(&time, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                       utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                       static_cast<int>((unix_seconds - whole) * 1000));
}

Json read_run_record(const std::string& directory) {
    const Result<std::string> text = read_file(directory + "/" + kRecordFile, 1 << 24);
    if (!text) return Json::array();
    Json record = Json::parse(*text, nullptr, false);
    if (!record.is_array()) return Json::array();
    for (const Json& invocation : record) {
        if (!invocation.is_object()) return Json::array();
    }
    return record;
}

Status write_run_record(const RunDirectory& directory, const Workbench& bench,
                        const Options& options, const TrainPlan& plan) {
    Json invocation;
    invocation["arguments"] = options.arguments;
    std::error_code ignored;
    invocation["directory"] = std::filesystem::current_path(ignored).string();
    invocation["netc"] = NETC_VERSION;
    invocation["started"] = now();
    invocation["file"] = options.file;
    invocation["section"] = plan.section->name;
    const Watch watch = plan.section->best.value_or(
        Watch{plan.valid_rows.empty() ? "loss" : "valid.loss", Direction01::min, {}});
    invocation["watch"] =
        fmt::format("{} {}", watch.direction == Direction01::min ? "min" : "max", watch.name);
    Json& used = invocation["options"] = Json::object();
    used["seed"] = plan.seed;
    used["batch"] = plan.batch;
    if (plan.epochs) used["epochs"] = *plan.epochs;
    if (plan.steps) used["steps"] = *plan.steps;
    if (options.matmul) used["matmul"] = name_of(*options.matmul);
    if (!options.data.empty()) used["data"] = options.data;
    if (!options.load.empty()) used["load"] = options.load;
    if (!options.dims.empty()) used["dims"] = pairs(options.dims);
    Json& settings = invocation["settings"] = Json::object();
    for (const OptionInfo& option : bench.file.options) settings[option.name] = option.value;

    Json record = plan.resume ? read_run_record(directory.path()) : Json::array();
    record.push_back(std::move(invocation));
    if (options.run_begun) *options.run_begun = directory.path();
    return write(directory.path(), record);
}

void note_run_end(const Options& options, int status) {
    if (!options.run_begun || options.run_begun->empty()) return;
    // The run has let go of its directory; if another process is in it by now, it writes there.
    Result<RunDirectory> directory = open_run_directory(*options.run_begun, RunMode::resume);
    if (!directory) return;
    Json record = read_run_record(directory->path());
    if (record.empty()) return;
    record.back()["ended"] = now();
    record.back()["status"] = status;
    (void)write(directory->path(), record);
}

}  // namespace netc
