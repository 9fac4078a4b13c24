// links: backends passes frontend ir
// labels: mutants
// What checks also compiles, or is refused with a message: mutants of the examples through all passes,
// a sample of them on to machine code.
#include "backends/backend.h"
#include "frontend/frontend.h"
#include "passes/pipeline.h"
#include "tests/cli/inside_words.h"
#include "tests/unit/mutate.h"

#include <catch2/catch.hpp>

#include <fstream>

using namespace netc;

namespace {

void expect_reason(const Error& error) {
    INFO("status " << error.status << ": " << error.message);
    CHECK((error.status == kExitProgram || error.status == kExitRun));
    CHECK_FALSE(error.message.empty());
    expect_no_inside_words(error.message + error.help);
}

const TrainSection* section_of(const CheckedFile& file, const Model& model) {
    for (const TrainSection& section : file.sections) {
        if (section.model == model.name) return &section;
    }
    return nullptr;
}

}  // namespace

TEST_CASE("a mutant that checks compiles, or is refused") {
    const bool long_search = std::getenv("NETC_MUTANTS") != nullptr;
    std::size_t number = 0, compiled = 0;
    for (const Mutant& mutant : make_mutants(400, 2)) {
        ++number;
        // Networks of hundreds of layers take minutes and are made of the same few.
        if (mutant.file.find("resnet") != std::string::npos ||
            mutant.file.find("vgg") != std::string::npos) {
            continue;
        }
        std::ofstream("mutant.net", std::ios::binary) << mutant.text;
        SourceMap sources;
        Diagnostics diagnostics;
        const Result<CheckedFile> file =
            check_text(mutant.file, mutant.text, {}, sources, diagnostics);
        if (!file) continue;
        INFO("mutant " << number - 1 << " of " << mutant.file << ", " << mutant.change);
        for (const Model& model : file->models) {
            PassRunner run;
            CompileOptions options;
            options.batch_hint = 2;
            const Result<Program> program = compile(model, section_of(*file, model), options, run);
            if (!program) {
                expect_reason(program.error());
                continue;
            }
            if (!long_search && ++compiled % 20 != 0) continue;
            JitOptions jit_options;
            jit_options.deferred = {};
            const auto code = jit(*program, jit_options);
            if (!code) expect_reason(code.error());
        }
    }
}
