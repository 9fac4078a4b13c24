// links: frontend ir
// One error per cause: 1,000 slips of the pen in the examples either check or are told in at most three
// errors, at places that exist, without words from inside, in 500 MB and not much longer than the examples take.
#include "frontend/frontend.h"
#include "frontend/render.h"
#include "tests/cli/inside_words.h"
#include "tests/unit/instrumented.h"
#include "tests/unit/mutate.h"

#include <catch2/catch.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <fstream>

using namespace netc;

namespace {

bool in_range(const Span& span, const SourceMap& sources) {
    return span.known() && span.file < sources.size() && span.begin <= span.end &&
           span.end <= sources.text(span.file).size();
}

// Seconds of this process: others may keep the machine busy.
double seconds_to_check(const std::string& file, const std::string& text) {
    SourceMap sources;
    Diagnostics diagnostics;
    const std::clock_t start = std::clock();
    (void)check_text(file, text, {}, sources, diagnostics);
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

}  // namespace

TEST_CASE("a mutant checks, or is refused in the user's terms") {
    const std::vector<Mutant> mutants = make_mutants(1000, 1);
    std::size_t refused = 0, number = 0;
    double longest = 0;  // of what is right
    for (const auto& [file, text] : right_programs())
        longest = std::max(longest, seconds_to_check(file, text));
    for (const Mutant& mutant : mutants) {
        // What a crash leaves behind.
        std::ofstream("mutant.net", std::ios::binary) << mutant.text;
        SourceMap sources;
        Diagnostics diagnostics;
        const std::clock_t start = std::clock();
        const Result<CheckedFile> file =
            check_text(mutant.file, mutant.text, {}, sources, diagnostics);
        const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        const std::string answer = render(diagnostics, sources);
        INFO("mutant " << number++ << " of " << mutant.file << ", " << mutant.change << "\n"
                       << answer);
        CHECK(file.ok() == !diagnostics.has_errors());
        if (!file) CHECK(file.error().status == kExitProgram);
        if (!file) ++refused;
        CHECK(diagnostics.error_count() <= 3);
        for (const Diagnostic& diagnostic : diagnostics.all()) {
            CHECK(in_range(diagnostic.primary.span, sources));
            CHECK(sources.path(diagnostic.primary.span.file) != "std.net");
            for (const Label& label : diagnostic.labels) CHECK(in_range(label.span, sources));
            for (const Note& note : diagnostic.notes) {
                if (note.place.span.known()) CHECK(in_range(note.place.span, sources));
            }
        }
        expect_no_inside_words(answer);
        CHECK(seconds < 20 * longest);
    }
    // The mutants are no mere copies, and not all noise.
    CHECK(refused > mutants.size() / 2);
    CHECK(refused < mutants.size());
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    if (!test::kInstrumented) CHECK(usage.ru_maxrss < 500'000);  // kilobytes, the largest of all
}
