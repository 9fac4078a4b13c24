// links: runtime ir
// labels: slow
// SIGKILL at random moments: no file is ever half there, and the end is the same bits.
#include <catch2/catch.hpp>

#include <filesystem>
#include <random>

#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/interrupt.h"
#include "tests/cli/run_command.h"

using namespace netc;

TEST_CASE("a killed run goes on to the same bits") {
    const TemporaryDirectory directory;
    directory.write("long.net", kLong);
    const std::string epochs = "12000";
    expect_success(run_netc(long_run("whole", epochs), directory.path()));
    std::random_device seed;
    const unsigned chosen = seed();
    INFO("seed " << chosen);
    std::minstd_rand random(chosen);
    bool ended = false;
    int kills = 0;
    for (int round = 0; !ended; ++round) {
        INFO("round " << round);
        const bool fresh = !std::filesystem::exists(directory.file("part/source.net"));
        Process process(netc_command(fresh ? long_run("part", epochs) : long_resume("part", epochs),
                                     directory.path()));
        // A run gets less far the more often it is killed; the last rounds are left alone.
        if (round < 6) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 1500));
            process.send(SIGKILL);
        }
        const Outcome outcome = process.wait();
        INFO("stderr: " << outcome.err);
        REQUIRE((outcome.status == 0 || outcome.signal == SIGKILL));
        ended = outcome.status == 0;
        kills += outcome.signal == SIGKILL ? 1 : 0;
        for (const char* name : {"last", "best", "state"}) {
            const std::string file = directory.file(std::string("part/") + name + ".safetensors");
            if (std::filesystem::exists(file)) CHECK(read_safetensors(file).ok());
        }
    }
    CHECK(kills > 0);
    expect_same_run(directory.file("part"), directory.file("whole"));
}
