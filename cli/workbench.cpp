#include "cli/workbench.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"
#include "frontend/render.h"

namespace netc {
namespace {

Result<std::pair<std::string, std::string>> name_and_value(const std::string& text,
                                                           const char* flag) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
        return Error{kExitUsage, fmt::format("{} wants NAME=VALUE, found `{}`", flag, text)};
    }
    return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

Result<CheckOptions> check_options(const Options& options) {
    CheckOptions check;
    for (const std::string& setting : options.settings) {
        auto pair = name_and_value(setting, "--set");
        if (!pair) return pair.error();
        check.settings.push_back(*pair);
    }
    for (const std::string& dim : options.dims) {
        auto pair = name_and_value(dim, "--dim");
        if (!pair) return pair.error();
        char* end = nullptr;
        const long long value = std::strtoll(pair->second.c_str(), &end, 10);
        if (pair->second.empty() || *end != '\0' || value < 1 || value > (1LL << 40)) {
            return Error{kExitUsage, fmt::format("--dim wants a size, found `{}`", dim)};
        }
        check.dims.emplace_back(pair->first, value);
    }
    return check;
}

// A setting that the program does not take is a mistake of the command line, unless weights brought it.
Error settings_error(const Options& options, Error error) {
    const bool brought =
        options.settings.size() > options.own_settings || options.dims.size() > options.own_dims;
    if (error.status != kExitUsage || options.settings_from.empty() || !brought) return error;
    Options own = options;
    own.settings.resize(options.own_settings);
    own.dims.resize(options.own_dims);
    SourceMap sources;
    Diagnostics diagnostics;
    const Result<CheckOptions> check = check_options(own);
    if (!check) return error;
    const Result<CheckedFile> file = check_file(own.file, *check, sources, diagnostics);
    if (!file && file.error().status == kExitUsage) return error;
    error.status = kExitData;
    error.message = fmt::format("{} was made with other options than {} has: {}",
                                options.settings_from, options.file, error.message);
    return error;
}

template <class Items>
std::string names_of(const Items& items) {
    std::string text;
    for (const auto& item : items) text += (text.empty() ? "" : ", ") + item.name;
    return text;
}

}  // namespace

Result<std::unique_ptr<Workbench>> open_workbench(Options& options, bool open_dimensions) {
    Result<CheckOptions> check = check_options(options);
    if (!check) return check.error();
    check->open_dimensions = open_dimensions;
    check->only = options.name.empty() ? options.section : options.name;
    auto bench = std::make_unique<Workbench>();
    if (options.werror) bench->diagnostics.treat_warnings_as_errors();
    Result<CheckedFile> file = check_file(options.file, *check, bench->sources, bench->diagnostics);
    if (!bench->diagnostics.all().empty()) {
        // One JSON document a verb: the diagnostics where there is no other result, see verb_check.
        if (options.json && bench->diagnostics.has_errors()) {
            print_out(render_json(bench->diagnostics, bench->sources));
        } else if (!options.json || !open_dimensions) {
            print_err(
                render(bench->diagnostics, bench->sources, {.color = color_on(STDERR_FILENO)}));
        }
    }
    if (bench->diagnostics.has_errors()) {
        // One is seen; of several the last line says how many.
        const bool count = !file && !options.json && bench->diagnostics.error_count() > 1;
        return count ? file.error() : Error{kExitProgram, {}};
    }
    if (!file) return settings_error(options, file.error());
    bench->file = std::move(*file);
    options.sources = &bench->sources;
    return bench;
}

Result<const Model*> find_model(const Workbench& bench, const std::string& name) {
    const auto& models = bench.file.models;
    if (models.empty()) return Error{kExitUsage, "the file has no model"};
    if (name.empty() && models.size() == 1) return &models.front();
    for (const Model& model : models) {
        if (model.name == name) return &model;
    }
    if (name.empty()) {
        return Error{kExitUsage,
                     fmt::format("the file has several models, name one: {}", names_of(models))};
    }
    return Error{kExitUsage,
                 fmt::format("there is no model `{}`; the file has: {}", name, names_of(models))};
}

Result<const Model*> find_model_of(const Workbench& bench, Options& options) {
    for (const TrainSection& section : bench.file.sections) {
        const bool named = !options.name.empty() && section.name == options.name;
        const bool chosen = options.name.empty() && section.name == options.section;
        if (!named && !chosen) continue;
        if (options.section.empty()) options.section = section.name;
        return find_model(bench, section.model);
    }
    if (options.name.empty() && !options.section.empty()) {
        Result<const TrainSection*> none = find_section(bench, options);
        if (!none) return none.error();
    }
    return find_model(bench, options.name);
}

Result<const TrainSection*> find_section(const Workbench& bench, const Options& options) {
    const auto& sections = bench.file.sections;
    const std::string& name = options.section.empty() ? options.name : options.section;
    if (sections.empty()) return Error{kExitUsage, "the file has no train section"};
    if (name.empty() && sections.size() == 1) return &sections.front();
    const TrainSection* found = nullptr;
    for (const TrainSection& section : sections) {
        if (section.name == name) return &section;
        if (section.model == name) {
            if (found != nullptr) {
                return Error{
                    kExitUsage,
                    fmt::format(
                        "several train sections are for `{}`, choose one with --section: {}", name,
                        names_of(sections))};
            }
            found = &section;
        }
    }
    if (found != nullptr) return found;
    if (name.empty()) {
        return Error{
            kExitUsage,
            fmt::format("the file has several train sections, choose one with --section: {}",
                        names_of(sections))};
    }
    return Error{kExitUsage, fmt::format("there is no train section `{}`; the file has: {}", name,
                                         names_of(sections))};
}

Result<const TrainSection*> section_of(const Workbench& bench, const Model& model,
                                       const Options& options) {
    const TrainSection* found = nullptr;
    for (const TrainSection& section : bench.file.sections) {
        if (section.model != model.name) continue;
        if (!options.section.empty() && section.name != options.section) continue;
        if (found != nullptr) {
            return Error{
                kExitUsage,
                fmt::format("several train sections are for `{}`, choose one with --section: {}",
                            model.name, names_of(bench.file.sections))};
        }
        found = &section;
    }
    if (found == nullptr && !options.section.empty()) {
        return Error{kExitUsage,
                     fmt::format("there is no train section `{}` of `{}`; the file has: {}",
                                 options.section, model.name, names_of(bench.file.sections))};
    }
    return found;
}

Result<Opened> open_model(Options& options) {
    Result<std::unique_ptr<Workbench>> bench = open_workbench(options);
    if (!bench) return bench.error();
    Result<const Model*> model = find_model_of(**bench, options);
    if (!model) return model.error();
    Result<const TrainSection*> section = section_of(**bench, **model, options);
    if (!section) return section.error();
    return Opened{std::move(*bench), *model, *section};
}

CpuTarget cpu_target(const Options& options) {
    return {.triple = options.target, .cpu = options.cpu, .features = options.features};
}

int thread_count(const Options& options) {
    if (options.threads) return *options.threads;
    if (const char* text = std::getenv("NETC_THREADS")) {  // see check_environment
        if (const int threads = std::atoi(text); threads >= 1) return threads;
    }
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::string cache_directory(const Options& options) {
    if (options.cache == "off") return {};
    if (!options.cache.empty()) return options.cache;
    if (const char* directory = std::getenv("NETC_CACHE_DIR"); directory != nullptr && *directory) {
        return directory;
    }
    if (const char* directory = std::getenv("XDG_CACHE_HOME"); directory != nullptr && *directory) {
        return std::string(directory) + "/netc";
    }
    const passwd* user = getpwuid(getuid());
    if (user == nullptr || user->pw_dir == nullptr) return {};
    return std::string(user->pw_dir) + "/.cache/netc";
}

std::vector<FieldRequest> field_requests(const Entry& entry, const Model& model) {
    std::vector<FieldRequest> requests;
    for (std::uint32_t i = 0; i < entry.inputs.size(); ++i) {
        const EntryArgument& argument = entry.inputs[i];
        FieldRequest request;
        request.name = argument.name;
        request.dtype = argument.dtype;
        for (std::size_t d = 1; d < argument.dims.size(); ++d) {
            request.sample_shape.push_back(argument.dims[d].constant);
        }
        const bool is_input = std::ranges::any_of(
            model.inputs, [&](const Input& input) { return input.name == argument.name; });
        request.role = is_input ? FieldRole::input : FieldRole::target;
        for (const Entry::IndexRange& range : entry.index_ranges) {
            if (range.input != i) continue;
            if (!range.is_of_all()) {
                request.ranges.push_back(range);
                continue;
            }
            request.classes = range.limit;
            request.ignored = range.ignored;
        }
        requests.push_back(std::move(request));
    }
    return requests;
}

std::string data_root(const Options& options) {
    if (!options.data.empty()) return options.data;
    const std::string folder = std::filesystem::path(options.file).parent_path().string();
    return folder.empty() ? "." : folder;
}

std::string ranges_to_json(const std::vector<ValueRange>& ranges) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    for (const ValueRange& range : ranges) json[range.place] = {range.least, range.greatest};
    return json.dump();
}

std::vector<ValueRange> ranges_from_json(const std::string& text) {
    const nlohmann::ordered_json json = nlohmann::ordered_json::parse(text, nullptr, false);
    std::vector<ValueRange> ranges;
    if (!json.is_object()) return ranges;
    for (const auto& [place, range] : json.items()) {
        const bool known =
            range.is_array() && range.size() == 2 && range[0].is_number() && range[1].is_number();
        if (known) ranges.push_back({place, range[0].get<double>(), range[1].get<double>()});
    }
    return ranges;
}

Result<std::string> resolve_weights(const std::string& path) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored)) return path;
    for (const char* name : {"best.safetensors", "last.safetensors"}) {
        const std::string file = path + "/" + name;
        if (std::filesystem::exists(file, ignored)) return file;
    }
    return Error{kExitData, path + ": this run directory has no weights yet"};
}

Result<Safetensors> read_weights(const std::string& path, Options& options) {
    Result<std::string> file = resolve_weights(path);
    if (!file) return file.error();
    Result<Safetensors> weights = read_safetensors(*file);
    if (!weights) return weights.error();
    auto take = [&](const char* key, std::vector<std::string>& into) {
        const auto found = weights->metadata.find(key);
        if (found == weights->metadata.end()) return;
        const nlohmann::json json = nlohmann::json::parse(found->second, nullptr, false);
        if (!json.is_object()) return;
        for (const auto& [name, value] : json.items()) {
            const bool given = std::ranges::any_of(
                into, [&](const std::string& text) { return text.starts_with(name + "="); });
            if (!given && value.is_string()) into.push_back(name + "=" + value.get<std::string>());
        }
    };
    options.own_settings = options.settings.size();
    options.own_dims = options.dims.size();
    take("netc.options", options.settings);
    take("netc.dims", options.dims);
    options.settings_from = *file;
    const auto ranges = weights->metadata.find("netc.ranges");
    if (ranges != weights->metadata.end()) options.ranges = ranges_from_json(ranges->second);
    const auto section = weights->metadata.find("netc.section");
    if (section != weights->metadata.end() && options.section.empty() && options.name.empty()) {
        options.section = section->second;
    }
    return weights;
}

int report(const Error& error) {
    if (!error.message.empty()) {
        const bool color = color_on(STDERR_FILENO);
        print_err(fmt::format("{}error{}: {}\n", color ? "\033[1;31m" : "", color ? "\033[0m" : "",
                              to_string(error)));
        if (!error.help.empty()) print_err(fmt::format("help: {}\n", error.help));
        if (error.status == kExitInternal) {
            print_err(
                "this is a bug in netc: please report it with the .net file and the command\n");
        }
    }
    return error.status;
}

}  // namespace netc
