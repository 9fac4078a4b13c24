#include "cli/weights_file.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace netc {
namespace {

std::string pairs_to_json(const std::vector<std::string>& pairs) {
    nlohmann::json json = nlohmann::json::object();
    for (const std::string& pair : pairs) {
        const std::size_t equals = pair.find('=');
        json[pair.substr(0, equals)] = pair.substr(equals + 1);
    }
    return json.dump();
}

// FNV-1a, 64 bits: to notice a change, not to withstand an attack.
std::uint64_t hash_of(std::string_view text, std::uint64_t hash = 14695981039346656037ull) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    return hash;
}

// A text without what a resumed run may find changed, comments and spaces.
std::string essence(std::string_view text, std::vector<Span> left_out) {
    std::ranges::sort(left_out, {}, &Span::begin);
    std::string result;
    auto skip = left_out.begin();
    bool quoted = false, space = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        while (skip != left_out.end() && skip->end <= i) ++skip;
        if (skip != left_out.end() && i >= skip->begin) {
            i = skip->end - 1;
            space = true;
            continue;
        }
        const char c = text[i];
        if (!quoted && c == '#') {
            i = std::min(text.find('\n', i), text.size());
            space = true;
            continue;
        }
        if (!quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ';')) {
            space = true;
            continue;
        }
        if (c == '"' && (i == 0 || text[i - 1] != '\\')) quoted = !quoted;
        if (space && !result.empty()) result += ' ';
        space = false;
        result += c;
    }
    return result;
}

}  // namespace

Metadata weights_metadata(const Workbench& bench, const Model& model, const TrainSection* section,
                          const Program& program, const Options& options, const SectionData* data) {
    (void)bench;
    Metadata metadata;
    metadata["netc.model"] = model.name;
    metadata["netc.model_hash"] = fmt::format("{:016x}", program.model_hash);
    metadata["netc.version"] = NETC_VERSION;
    metadata["netc.options"] = pairs_to_json(options.settings);
    metadata["netc.dims"] = pairs_to_json(options.dims);
    if (section != nullptr) metadata["netc.section"] = section->name;
    if (data != nullptr) metadata["netc.data"] = statistics_to_json(statistics_of(data->train));
    return metadata;
}

std::string run_identity(const Workbench& bench, const Options& options, const TrainPlan& plan,
                         const SectionData& data) {
    std::uint64_t sources = hash_of({});
    for (std::uint32_t file = 0; file < bench.sources.size(); ++file) {
        std::vector<Span> adjustable;
        for (const Span span : plan.section->adjustable) {
            if (span.file == file) adjustable.push_back(span);
        }
        sources = hash_of(essence(bench.sources.text(file), std::move(adjustable)), sources);
    }
    std::string identity = fmt::format("the source: {:016x}\n", sources);
    identity += fmt::format("an option (--set): {}\n", pairs_to_json(options.settings));
    identity += fmt::format("a dimension (--dim): {}\n", pairs_to_json(options.dims));
    identity += fmt::format("the batch: {}\n", plan.batch);
    identity += fmt::format("the seed: {}\n", plan.seed);
    identity += fmt::format("the training data: {}\n", data.train.fingerprint);
    identity += fmt::format("the held-out data: {}\n", data.valid ? data.valid->fingerprint : "");
    return identity;
}

}  // namespace netc
