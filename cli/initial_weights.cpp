#include "cli/initial_weights.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "cli/terminal.h"
#include "cli/weights_file.h"
#include "runtime/files/files.h"

namespace netc {
namespace {

Result<std::optional<LoadSpec>> wanted(const TrainSection* section, const Options& options) {
    if (options.load.empty() && (options.partial || !options.load_map.empty())) {
        return Error{kExitUsage, "--partial and --load-map go with --load"};
    }
    if (options.load.empty()) {
        if (section == nullptr || !section->load) return std::optional<LoadSpec>{};
        LoadSpec load = *section->load;
        const std::filesystem::path folder = std::filesystem::path(options.file).parent_path();
        load.path = (folder / load.path).string();
        return std::optional(load);
    }
    LoadSpec load;
    load.path = options.load;
    load.partial = options.partial;
    Result<NameMap> map = parse_name_map(options.load_map, "--load-map");
    if (!map) return map.error();
    load.map = std::move(*map);
    return std::optional(load);
}

void say(const char* what, const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 20;
    for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
        print_err(fmt::format("  {:<12} {}\n", what, names[i]));
    }
    if (names.size() > kShown) {
        print_err(fmt::format("  {:<12} and {} more\n", what, names.size() - kShown));
    }
}

}  // namespace

Result<NameMap> parse_name_map(const std::vector<std::string>& pairs, std::string_view option) {
    NameMap map;
    for (const std::string& pair : pairs) {
        const std::size_t equals = pair.find('=');
        const std::string from = pair.substr(0, equals);
        const std::string to = equals == std::string::npos ? "" : pair.substr(equals + 1);
        if (from.empty() || to.empty() ||
            std::ranges::count(from, '*') != std::ranges::count(to, '*')) {
            return Error{kExitUsage,
                         fmt::format("{} wants FROM=TO with as many `*` on both sides, found `{}`",
                                     option, pair)};
        }
        map.emplace_back(from, to);
    }
    return map;
}

Status initialize_weights(Session& session, const Model& model, const TrainSection* section,
                          std::uint64_t seed) {
    if (Status s = session.init(seed); !s) return s;
    return read_initial_files(session, section != nullptr ? section->module.variables
                                                          : model.module.variables);
}

Result<bool> load_initial_weights(Session& session, const TrainSection* section,
                                  const Options& options, bool tell) {
    Result<std::optional<LoadSpec>> load = wanted(section, options);
    if (!load) return load.error();
    if (!*load) return false;
    Result<std::string> path = resolve_weights((*load)->path);
    if (!path) return path.error();
    Result<Safetensors> file = read_safetensors(*path);
    if (!file) return file.error();
    if (Status s = rename_tensors(*file, (*load)->map, *path); !s) return s.error();
    Result<LoadReport> report = load_weights(session, *file, *path, (*load)->partial);
    if (!report) return report.error();
    const bool trained = file->metadata.contains(kDataMetadata);
    if (!tell) return trained;
    print_err(fmt::format("{}: {} tensors taken, {} initialised, {} left out\n", *path,
                          report->taken.size(), report->missing.size() + report->different.size(),
                          report->unused.size()));
    say("initialised", report->missing);
    say("other shape", report->different);
    say("left out", report->unused);
    return trained;
}

}  // namespace netc
