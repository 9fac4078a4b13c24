// links: runtime ir
// Whatever ends a run, going on gives the bits of a run that nothing ended.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <random>
#include <sstream>

#include "runtime/files/files.h"
#include "tests/cli/expect.h"
#include "tests/cli/interrupt.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

TEST_CASE("a limit is no end: --resume goes on from it") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    expect_success(run_netc({"train", "moons.net", "--run", "whole", "--quiet"}, directory.path()));
    SECTION("after two epochs") {
        expect_success(run_netc({"train", "moons.net", "--run", "part", "--epochs", "2", "--quiet"},
                                directory.path()));
        expect_success(
            run_netc({"train", "moons.net", "--resume", "part", "--quiet"}, directory.path()));
        expect_same_run(directory.file("part"), directory.file("whole"));
    }
    SECTION("in the middle of an epoch") {
        expect_success(run_netc({"train", "moons.net", "--run", "part", "--steps", "37", "--quiet"},
                                directory.path()));
        expect_success(
            run_netc({"train", "moons.net", "--resume", "part", "--epochs", "6", "--quiet"},
                     directory.path()));
        CHECK(file_text(directory.file("part/last.safetensors")) ==
              file_text(directory.file("whole/last.safetensors")));
    }
    SECTION("when there is nothing left to do") {
        const std::string before = file_text(directory.file("whole/last.safetensors"));
        expect_success(
            run_netc({"train", "moons.net", "--resume", "whole", "--quiet"}, directory.path()));
        CHECK(file_text(directory.file("whole/last.safetensors")) == before);
    }
}

TEST_CASE("Ctrl-C saves, says how to go on, ends with 130") {
    const TemporaryDirectory directory;
    directory.write("long.net", kLong);
    expect_success(run_netc(long_run("whole"), directory.path()));
    std::minstd_rand random(7);
    for (const int signal : {SIGINT, SIGINT, SIGTERM, SIGHUP}) {
        std::filesystem::remove_all(directory.file("part"));
        Process process(netc_command(long_run("part"), directory.path()));
        REQUIRE(wait_for_log(process, directory.file("part")));
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 100));
        process.send(signal);
        const Outcome outcome = process.wait();
        INFO("stderr: " << outcome.err);
        CHECK(outcome.signal == 0);
        REQUIRE(outcome.status == 130);
        CHECK(outcome.err.find("--resume part") != std::string::npos);
        expect_success(run_netc(long_resume("part"), directory.path()));
        expect_same_run(directory.file("part"), directory.file("whole"));
    }
}

TEST_CASE("what has changed since the run began is named") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    expect_success(run_netc({"train", "moons.net", "--run", "run", "--epochs", "1", "--quiet"},
                            directory.path()));
    const std::string before = file_text(directory.file("run/last.safetensors"));
    expect_refusal(
        run_netc({"train", "moons.net", "--resume", "run", "--seed", "5"}, directory.path()), 3,
        {"the seed"});
    expect_refusal(
        run_netc({"train", "moons.net", "--resume", "run", "--batch", "5"}, directory.path()), 3,
        {"the batch"});
    expect_refusal(
        run_netc({"train", "moons.net", "--resume", "run", "--set", "width=5"}, directory.path()),
        3, {"--set"});
    for (const char* tiles : {"off", "2"}) {
        expect_refusal(run_netc({"train", "moons.net", "--resume", "run", "--winograd", tiles},
                                directory.path()),
                       3, {"--winograd"});
    }
    std::string other = kMoons;
    other.replace(other.find("dropout(0.1)"), 12, "dropout(0.2)");
    directory.write("moons.net", other);
    expect_refusal(run_netc({"train", "moons.net", "--resume", "run"}, directory.path()), 3,
                   {"the source", "--load"});
    expect_refusal(run_netc({"train", "moons.net", "--resume", "nowhere"}, directory.path()), 3,
                   {"nowhere"});
    expect_refusal(run_netc({"train", "moons.net", "--resume", "."}, directory.path()), 3,
                   {"not the directory of a run"});
    directory.write("moons.net", kMoons);
    const std::string state = file_text(directory.file("run/state.safetensors"));
    directory.write("run/state.safetensors", state.substr(0, state.size() - 1));
    expect_refusal(run_netc({"train", "moons.net", "--resume", "run"}, directory.path()), 3,
                   {"run/state.safetensors"});
    directory.write("run/state.safetensors", file_text(directory.file("run/last.safetensors")));
    expect_refusal(run_netc({"train", "moons.net", "--resume", "run"}, directory.path()), 3,
                   {"run/state.safetensors"});
    CHECK(file_text(directory.file("run/last.safetensors")) == before);
}

TEST_CASE("a run that ended before its first checkpoint begins again") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    expect_success(run_netc({"train", "moons.net", "--run", "whole", "--quiet"}, directory.path()));
    std::filesystem::create_directory(directory.file("run"));
    directory.write("run/source.net", kMoons);
    directory.write("run/log.jsonl", R"({"epoch":1,"step":15,"loss":0.5)");
    const Outcome outcome =
        run_netc({"train", "moons.net", "--resume", "run", "--quiet"}, directory.path());
    expect_success(outcome);
    CHECK(outcome.err.find("begin") != std::string::npos);
    expect_same_run(directory.file("run"), directory.file("whole"));
}

TEST_CASE("a run that ended within its first checkpoint begins again") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    expect_success(run_netc({"train", "moons.net", "--run", "whole", "--quiet"}, directory.path()));
    CHECK(!std::filesystem::exists(directory.file("whole/.first-checkpoint")));
    std::filesystem::create_directory(directory.file("run"));
    directory.write("run/source.net", kMoons);
    directory.write("run/.first-checkpoint", "");
    for (const char* name : {"best", "last"}) {
        const std::string file = std::string("/") + name + ".safetensors";
        directory.write("run" + file, file_text(directory.file("whole" + file)));
    }
    expect_success(
        run_netc({"train", "moons.net", "--resume", "run", "--quiet"}, directory.path()));
    expect_same_run(directory.file("run"), directory.file("whole"));
    CHECK(!std::filesystem::exists(directory.file("run/.first-checkpoint")));
}

TEST_CASE("two runs do not share a directory") {
    const TemporaryDirectory directory;
    directory.write("long.net", kLong);
    directory.write("moons.net", kMoons);
    Process first(netc_command(
        {"train", "long.net", "--run", "run", "--epochs", "100000", "--quiet"}, directory.path()));
    REQUIRE(wait_for_log(first, directory.file("run")));
    expect_refusal(run_netc({"train", "moons.net", "--run", "run"}, directory.path()), 3,
                   {"run", "another netc"});
    expect_refusal(run_netc({"train", "long.net", "--resume", "run"}, directory.path()), 3,
                   {"run", "another netc"});
    first.send(SIGINT);
    CHECK(first.wait().status == 130);
    expect_refusal(run_netc({"train", "moons.net", "--run", "run"}, directory.path()), 3,
                   {"already holds a run", "--resume"});
}

TEST_CASE("a second Ctrl-C ends at once and leaves the last checkpoint whole") {
    const TemporaryDirectory directory;
    directory.write("long.net", kLong);
    Process process(netc_command(
        {"train", "long.net", "--run", "run", "--epochs", "100000", "--quiet"}, directory.path()));
    REQUIRE(wait_for_log(process, directory.file("run")));
    process.send(SIGINT);
    process.send(SIGINT);
    const Outcome outcome = process.wait();
    CHECK(outcome.signal == 0);
    CHECK(outcome.status == 130);
    expect_success(run_netc({"train", "long.net", "--resume", "run", "--epochs", "1", "--quiet"},
                            directory.path()));
}

TEST_CASE("the command to go on with is one that a shell takes") {
    const TemporaryDirectory directory;
    directory.write("a run.net", kLong + "option width: int = 3\n");
    const std::vector<std::string> start{"train",   "a run.net", "--run",  "its dir", "--set",
                                         "width=5", "--epochs",  "100000", "--quiet"};
    Process process(netc_command(start, directory.path()));
    REQUIRE(wait_for_log(process, directory.file("its dir")));
    process.send(SIGINT);
    const Outcome outcome = process.wait();
    CHECK(outcome.err.find("go on with: netc train 'a run.net' --set width=5 --epochs 100000 "
                           "--quiet --resume 'its dir'\n") != std::string::npos);
}

TEST_CASE("a signal that the parent ignores stays ignored") {
    const TemporaryDirectory directory;
    directory.write("long.net", kLong);
    Command command = netc_command(long_run("run", "300"), directory.path());
    command.arguments.insert(command.arguments.begin(),
                             {"sh", "-c", "trap '' HUP; exec \"$@\"", "sh"});
    Process process(command);
    REQUIRE(wait_for_log(process, directory.file("run")));
    process.send(SIGHUP);
    CHECK(process.wait().status == 0);
}

TEST_CASE("Ctrl-C before the first step ends at once") {
    const TemporaryDirectory directory;
    directory.write("slow.net", R"(net 1
model Slow(x: f32[B, 1, 28, 28]) -> f32[B, 10] = x |> flatten |> linear(10)
train Slow {
  target y: i32[B]
  data = digits(n = 200000)
  loss = cross_entropy(out, y)
  epochs = 1
}
)");
    Process process(netc_command({"train", "slow.net", "--run", "run"}, directory.path()));
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    process.send(SIGINT);
    const Outcome outcome = process.wait();
    CHECK(outcome.status == 130);
    CHECK(outcome.err.find("stopped before the first step") != std::string::npos);
    CHECK(!std::filesystem::exists(directory.file("run")));
}

TEST_CASE("a directory of something else is left alone, an empty one becomes a run") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    std::filesystem::create_directory(directory.file("other"));
    directory.write("other/letter.txt", "Dear Sir");
    expect_refusal(run_netc({"train", "moons.net", "--resume", "other"}, directory.path()), 3,
                   {"other", "not the directory of a run"});
    expect_refusal(run_netc({"train", "moons.net", "--run", "other"}, directory.path()), 3,
                   {"other", "something else"});
    CHECK(!std::filesystem::exists(directory.file("other/.lock")));
    // What a process leaves that is killed at its first step.
    std::filesystem::create_directory(directory.file("run"));
    directory.write("run/.lock", "");
    directory.write("run/source.net.1.0.tmp", "net");
    expect_success(run_netc({"train", "moons.net", "--run", "run", "--epochs", "1", "--quiet"},
                            directory.path()));
}

TEST_CASE("latest points to runs alone") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    std::filesystem::create_directory(directory.file("release-1.2"));
    std::filesystem::create_directory_symlink("release-1.2", directory.file("latest"));
    for (const char* run : {"a", "b"}) {
        expect_success(run_netc({"train", "moons.net", "--run", run, "--epochs", "1", "--quiet"},
                                directory.path()));
        const auto leads_to = std::filesystem::read_symlink(directory.file("latest"));
        CHECK(leads_to == (run == std::string("a") ? "release-1.2" : "b"));
        std::filesystem::remove(directory.file("latest"));
        std::filesystem::create_directory_symlink("a", directory.file("latest"));
    }
}

TEST_CASE("images of other content are other data") {
    const TemporaryDirectory directory;
    const auto write = [&](char pixel) {
        for (const char* folder : {"cat", "dog"}) {
            std::filesystem::create_directories(directory.file(std::string("photos/") + folder));
            directory.write(std::string("photos/") + folder + "/1.pgm",
                            "P5\n2 2\n255\n" + std::string(4, pixel));
        }
    };
    directory.write("photos.net", kPhotos);
    write('a');
    expect_success(run_netc({"train", "photos.net", "--run", "run"}, directory.path()));
    write('b');
    expect_refusal(
        run_netc({"train", "photos.net", "--resume", "run", "--epochs", "2"}, directory.path()), 3,
        {"the training data"});
}
