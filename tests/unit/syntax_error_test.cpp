// links: frontend ir

// Every message about syntax as text: tests/data/diagnostics/syntax.txt holds
// programs and what netc says about them. With NETC_UPDATE=1 in the environment the test writes the
// answers anew, to be read in the diff.
#include "frontend/parse.h"
#include "frontend/render.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

using namespace netc;

namespace {

const std::string kPath = std::string(NETC_SOURCE_DIR) + "/tests/data/diagnostics/syntax.txt";

struct Case {
    std::string title, program, answer;
};

// === title, the program, a line that begins with ---, the answer.
std::vector<Case> read_cases() {
    std::vector<Case> cases;
    std::ifstream file(kPath, std::ios::binary);
    bool answer = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("=== ")) {
            cases.push_back({line.substr(4), "", ""});
            answer = false;
        } else if (line.starts_with("---") && !answer) {
            answer = true;
        } else {
            (answer ? cases.back().answer : cases.back().program) += line + "\n";
        }
    }
    return cases;
}

Diagnostics messages_of(const std::string& program, SourceMap& sources) {
    Diagnostics diagnostics;
    parse(sources, sources.add("test.net", program), diagnostics);
    return diagnostics;
}

}  // namespace

TEST_CASE("syntax errors: the messages are the recorded ones") {
    std::vector<Case> cases = read_cases();
    REQUIRE(cases.size() >= 35);
    const bool update = std::getenv("NETC_UPDATE") != nullptr;
    std::set<std::string> codes;
    for (Case& entry : cases) {
        SourceMap sources;
        const Diagnostics diagnostics = messages_of(entry.program, sources);
        for (const Diagnostic& diagnostic : diagnostics.all())
            codes.emplace(info(diagnostic.code).code);
        const std::string answer = render(diagnostics, sources);
        INFO(entry.title);
        if (update)
            entry.answer = answer;
        else
            CHECK(entry.answer == answer);
        CHECK(diagnostics.all().size() >= 1);
    }
    for (const DiagnosticInfo& entry : diagnostic_registry()) {
        if (entry.code.substr(1, 2) != "00" || entry.code == "E0007")
            continue;  // E0007: see parse_test
        INFO(entry.code);
        CHECK(codes.count(std::string(entry.code)) == 1);
    }
    if (!update) return;
    std::ofstream file(kPath, std::ios::binary);
    for (const Case& entry : cases)
        file << "=== " << entry.title << "\n" << entry.program << "---\n" << entry.answer;
}

// Not among the recorded ones: the texts are megabytes.
TEST_CASE("syntax errors: E0007, a file that is too large") {
    const auto answer_to = [](const std::string& program) {
        SourceMap sources;
        const Diagnostics diagnostics = messages_of(program, sources);
        return render(diagnostics, sources);
    };
    std::string words = "net 1\n";
    for (int line = 0; line < 250; ++line) {
        for (int word = 0; word < 1000; ++word) words += "1,";
        words += "\n";
    }
    CHECK(
        answer_to(words).starts_with("error[E0007]: the file has more than 200000 words and signs\n"
                                     "    --> test.net:101:1999\n"));
    CHECK(answer_to("net 1\n# " + std::string(9 << 20, '0') + "\n") ==
          "error[E0007]: the file has more than 8 MiB of text\n"
          "  --> test.net:1:1\n"
          "   |\n"
          " 1 | net 1\n"
          "   | ^\n");
}
