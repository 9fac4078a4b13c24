#include "cli/options.h"

#include <string>
#include <utility>
#include <vector>

#include "cli/option_checks.h"
#include "passes/precision.h"

namespace netc {

void add_program_options(CLI::App& verb, Options& options, bool with_name) {
    verb.add_option("FILE", options.file, "the .net file")->required();
    if (with_name) verb.add_option("NAME", options.name, "the model or train section");
    verb.add_option("--set", options.settings, "NAME=VALUE: an option of the file");
    verb.add_option("--dim", options.dims, "NAME=VALUE: fixes a symbolic dimension");
    verb.add_flag("--json", options.json, "the result as JSON on standard output");
    verb.add_flag("--werror", options.werror, "warnings are errors");
}

void add_matmul_option(CLI::App& verb, Options& options) {
    std::vector<std::pair<std::string, std::int64_t>> words;
    for (const Precision precision :
         {Precision::f32, Precision::bf16, Precision::bf16x3, Precision::bf16x6, Precision::tf32})
        words.emplace_back(name_of(precision), static_cast<std::int64_t>(precision));
    verb.add_option(
            "--matmul", options.matmul,
            "what contractions multiply: f32, bf16, or f32 in two (bf16x3) or three (bf16x6) "
            "parts of bf16; on a GPU also tf32; default: the section's precision")
        ->type_name("TEXT")
        ->transform(one_of(std::move(words)));
    verb.add_option("--winograd", options.winograd_tile,
                    "largest tile of Winograd's 3 x 3 convolutions: off, 2 or 4; default 4")
        ->type_name("TEXT")
        ->transform(one_of({{"off", 0}, {"2", 2}, {"4", 4}}));
}

void add_run_options(CLI::App& verb, Options& options) {
    verb.add_option("--data", options.data, "directory that data paths start from");
    verb.add_option("--section", options.section, "the train section, where a file has several");
    verb.add_option("--batch", options.batch, "samples per call")
        ->check(whole_number(1, kMostSamples));
    verb.add_option("--threads", options.threads, "default: all cores")
        ->check(whole_number(1, kMostThreads));
    verb.add_option("--device", options.device,
                    "cpu (default), gpu, gpu:N of several, from 0, or gpu-emulator");
    verb.add_option("--gpu", options.gpu, "code for sm_80, sm_90 or sm_90a; default: the GPU's own")
        ->check(CLI::IsMember({"sm_80", "sm_90", "sm_90a"}));
    verb.add_option("--seed", options.seed,
                    "of initial weights, the order of samples, random layers in training; in use "
                    "they draw as of step 0")
        ->check(seed_number());
    verb.add_option("--cache", options.cache, "directory of the compile cache, or off");
    verb.add_option("--print-after", options.print_after,
                    "print the graph after this pass, or all");
    verb.add_flag("--time-report", options.time_report, "where compiling spent its time");
    verb.add_option("--cpu", options.cpu, "processor to compile for, default native");
    verb.add_option("--features", options.features, "+avx2,-avx512f");
    add_recompute_option(verb, options);
    verb.add_flag("--check-finite", options.check_finite,
                  "stop at the first NaN or infinity and name its layer");
    add_matmul_option(verb, options);
}

void add_recompute_option(CLI::App& verb, Options& options) {
    verb.add_flag("--recompute", options.recompute,
                  "training computes cheap values again instead of keeping them: less memory, the "
                  "same bits; =never, or =auto (default): where they are more than 512 MiB")
        ->check(CLI::IsMember({"true", "always", "never", "auto"}));
}

void add_target_options(CLI::App& verb, Options& options) {
    verb.add_option("--target", options.target,
                    "triple, default this machine's; compile also takes nvptx64");
    verb.add_option("--cpu", options.cpu, "processor to compile for, default native");
    verb.add_option("--features", options.features, "+avx2,-avx512f");
    add_matmul_option(verb, options);
}

}  // namespace netc
