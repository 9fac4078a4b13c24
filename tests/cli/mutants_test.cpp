// links: runtime ir
// Slips of the pen as a user meets them: through the program, checked and compiled.
#include <catch2/catch.hpp>

#include <string>

#include "tests/cli/expect.h"
#include "tests/cli/run_command.h"
#include "tests/unit/mutate.h"

using namespace netc;

TEST_CASE("the program answers a mutant in the user's terms") {
    const TemporaryDirectory directory;
    std::size_t refused = 0;
    for (const Mutant& mutant : make_mutants(52, 3)) {
        INFO(mutant.file << ", " << mutant.change);
        directory.write("mutant.net", mutant.text);
        const Outcome check = run_netc({"check", "mutant.net"}, directory.path());
        INFO(check.out << check.err.substr(0, 4000));
        CHECK(check.signal == 0);
        expect_no_inside_words(check.out + check.err);
        if (check.status != 0) {
            ++refused;
            CHECK(check.status == 1);
            CHECK(count_errors(check.err) >= 1);
            CHECK(check.err.find("mutant.net:") != std::string::npos);
            continue;
        }
        // The deepest networks take minutes to compile and are made of the same few layers.
        const bool deep = mutant.file.find("resnet") != std::string::npos ||
                          mutant.file.find("vgg") != std::string::npos;
        if (deep) continue;
        const Outcome compile =
            run_netc({"compile", "mutant.net", "-o", "mutant.o"}, directory.path());
        INFO(compile.out << compile.err.substr(0, 4000));
        CHECK(compile.signal == 0);
        CHECK((compile.status == 0 || count_errors(compile.err) == 1));
        CHECK(compile.status != 70);
        expect_no_inside_words(compile.out + compile.err);
    }
    CHECK(refused > 10);
}
