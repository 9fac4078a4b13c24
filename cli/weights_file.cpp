#include "cli/weights_file.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "frontend/parse.h"
#include "passes/precision.h"

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

// The tokens of a file without those that a resumed run may find changed: comments and spaces are none.
std::string essence(const SourceMap& sources, std::uint32_t file,
                    const std::vector<Span>& left_out) {
    Diagnostics found;  // it was checked before
    SyntaxText written;
    parse(sources, file, found, &written);
    std::string text;
    const auto append = [&](const auto& self, const SyntaxNode& node) -> void {
        const bool skipped = std::ranges::any_of(left_out, [&](const Span& span) {
            return span.file == file && span.begin <= node.span.begin && node.span.end <= span.end;
        });
        if (skipped) return;
        if (node.is(Rule::token)) text += std::string(node.text) + ' ';
        for (const SyntaxNode& child : node.children) self(self, child);
    };
    for (const SyntaxNode& part : written.parts) append(append, part);
    return text;
}

}  // namespace

Metadata weights_metadata(const Workbench& bench, const Model& model, const TrainSection* section,
                          const Program& program, const Options& options, const SectionData* data) {
    (void)bench;
    Metadata metadata;
    metadata["netc.model"] = model.name;
    metadata[kHashMetadata] = fmt::format("{:016x}", program.model_hash);
    metadata["netc.version"] = NETC_VERSION;
    metadata["netc.options"] = pairs_to_json(options.settings);
    metadata["netc.dims"] = pairs_to_json(options.dims);
    if (section != nullptr) metadata["netc.section"] = section->name;
    if (data != nullptr) metadata[kDataMetadata] = statistics_to_json(statistics_of(data->train));
    return metadata;
}

std::string run_identity(const Workbench& bench, const Options& options, const TrainPlan& plan,
                         const SectionData& data) {
    std::uint64_t sources = hash_of({});
    for (std::uint32_t file = 0; file < bench.sources.size(); ++file) {
        const bool library = bench.sources.path(file) == kLibraryPath;  // no user edits it
        sources = hash_of(library ? std::string(bench.sources.text(file))
                                  : essence(bench.sources, file, plan.section->adjustable),
                          sources);
    }
    std::string identity = fmt::format("the source: {:016x}\n", sources);
    identity += fmt::format("an option (--set): {}\n", pairs_to_json(options.settings));
    identity += fmt::format("a dimension (--dim): {}\n", pairs_to_json(options.dims));
    identity += fmt::format("the batch: {}\n", plan.batch);
    const Precision precision = options.matmul.value_or(plan.section->precision);
    identity += fmt::format("what contractions multiply (--matmul): {}\n", name_of(precision));
    identity += fmt::format("tiles of convolutions (--winograd): {}\n", options.winograd_tile);
    identity += fmt::format("the seed: {}\n", plan.seed);
    identity += fmt::format("the training data: {}\n", data.train.fingerprint);
    identity += fmt::format("the held-out data: {}\n", data.valid ? data.valid->fingerprint : "");
    return identity;
}

}  // namespace netc
