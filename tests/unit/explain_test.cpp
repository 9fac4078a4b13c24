// links: frontend ir
// Every code has its page, and the programs on it do what the page says.
#include "frontend/explanations.h"
#include "frontend/frontend.h"
#include "frontend/render.h"

#include <catch2/catch.hpp>

#include <map>
#include <string_view>

using namespace netc;

namespace {

// Told where no short text could show it.
const std::map<std::string_view, const char*> kWithoutProgram = {
    {"E0005", "bytes that are no text"},      {"E0007", "a file of megabytes"},
    {"E0613", "told when the data is there"}, {"E0614", "told when the data is there"},
    {"W0604", "told when the data is there"},
};

std::string codes_of(std::string_view program, std::string& answer) {
    SourceMap sources;
    Diagnostics diagnostics;
    (void)check_text("page.net", std::string(program), {}, sources, diagnostics);
    answer = render(diagnostics, sources);
    std::string codes;
    for (const Diagnostic& diagnostic : diagnostics.all()) {
        codes += (codes.empty() ? "" : " ") + std::string(info(diagnostic.code).code);
    }
    return codes;
}

}  // namespace

TEST_CASE("each code is explained by a wrong and a right program") {
    for (const DiagnosticInfo& entry : diagnostic_registry()) {
        INFO(entry.code);
        CHECK(entry.explanation.size() > 40);
        const auto programs = explained_programs(entry.code);
        if (!programs) {
            CHECK(kWithoutProgram.contains(entry.code));
            continue;
        }
        CHECK_FALSE(kWithoutProgram.contains(entry.code));
        std::string answer;
        const std::string wrong = codes_of(programs->wrong, answer);
        INFO("the wrong one:\n" << answer);
        CHECK(wrong == entry.code);
        const std::string right = codes_of(programs->right, answer);
        INFO("the right one:\n" << answer);
        CHECK(right.empty());
        const std::string page = render_explanation(entry);
        CHECK(page.find("Wrong:") < page.find("Right:"));
    }
}
