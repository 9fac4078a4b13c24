// links: frontend ir
// Every message of the elaborator as text: tests/data/diagnostics/semantics.txt holds programs and what
// netc says about them. With NETC_UPDATE=1 in the environment the test writes the answers anew, to be
// read in the diff.
#include "frontend/frontend.h"
#include "frontend/render.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>

using namespace netc;

namespace {

const std::string kPath = std::string(NETC_SOURCE_DIR) + "/tests/data/diagnostics/semantics.txt";

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

std::string answer_to(const std::string& program) {
    SourceMap sources;
    Diagnostics diagnostics;
    (void)check_text("test.net", program, {}, sources, diagnostics);
    return render(diagnostics, sources);
}

}  // namespace

TEST_CASE("the elaborator's messages are the recorded ones") {
    std::vector<Case> cases = read_cases();
    REQUIRE(cases.size() >= 80);
    const bool update = std::getenv("NETC_UPDATE") != nullptr;
    for (Case& entry : cases) {
        INFO(entry.title);
        const std::string answer = answer_to(entry.program);
        CHECK_FALSE(answer.empty());
        // A title that begins with a code promises it.
        const std::string code = entry.title.substr(0, 5);
        if (code[0] == 'E' || code[0] == 'W') CHECK(answer.find(code) != std::string::npos);
        if (update) {
            entry.answer = answer;
        } else {
            CHECK(entry.answer == answer);
        }
    }
    if (!update) return;
    std::ofstream file(kPath, std::ios::binary);
    for (const Case& entry : cases) {
        file << "=== " << entry.title << "\n" << entry.program << "---\n" << entry.answer;
    }
}

TEST_CASE("each faulty file of the design answers with its code") {
    const std::pair<const char*, const char*> files[] = {
        {"01_inner", "E0302"},     {"02_rank", "E0301"},    {"03_result", "E0305"},
        {"04_skip", "E0304"},      {"05_bcast", "E0303"},   {"06_lossscalar", "E0604"},
        {"07_labels", "E0605"},    {"08_named", "E0201"},   {"09_missing", "E0202"},
        {"10_pipelayer", "E0312"}, {"11_unknown", "E0101"}, {"12_runtimeif", "E0501"},
        {"13_symparam", "E0401"},  {"14_let", "E0503"},     {"15_share", "E0403"},
        {"16_heads", "E0311"},     {"17_kernel", "E0311"},  {"18_carry", "E0502"},
        {"19_reshape", "E0308"},   {"20_int", "E0203"},     {"21_noreturn", "E0207"},
        {"22_plus", "E0306"},      {"23_concat", "E0309"},  {"24_axis", "E0310"},
        {"25_depth", "E0307"},     {"26_fnparam", "E0402"},
    };
    for (const auto& [name, code] : files) {
        INFO(name);
        SourceMap sources;
        Diagnostics diagnostics;
        const std::string path =
            std::string(NETC_SOURCE_DIR) + "/tests/data/language/faulty/" + name + ".net";
        const Result<CheckedFile> checked = check_file(path, {}, sources, diagnostics);
        REQUIRE_FALSE(checked);
        CHECK(checked.error().status == kExitProgram);
        REQUIRE(diagnostics.error_count() == 1);
        CHECK(info(diagnostics.all()[0].code).code == code);
    }
}
