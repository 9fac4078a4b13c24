// links: runtime ir
// netc runs: what a run directory says about a run, and its record of the command line.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <filesystem>

#include "runtime/files/files.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

nlohmann::json json_of(const Outcome& outcome) {
    expect_success(outcome);
    return nlohmann::json::parse(outcome.out);
}
void put(const TemporaryDirectory& directory, const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(directory.file(name)).parent_path());
    directory.write(name, text);
}
nlohmann::json record(const TemporaryDirectory& directory, const std::string& run) {
    const Result<std::string> text = read_file(directory.file(run + "/command.json"));
    REQUIRE(text.ok());
    return nlohmann::json::parse(*text);
}

}  // namespace

TEST_CASE("training records how it was started and how it ended") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    expect_success(run_netc({"train", "moons.net", "--quiet", "--run", "a", "--seed", "3", "--set",
                             "width=8", "--epochs", "2"},
                            directory.path()));
    nlohmann::json found = record(directory, "a");
    REQUIRE(found.size() == 1);
    CHECK(found[0]["arguments"] ==
          nlohmann::json({"train", "moons.net", "--quiet", "--run", "a", "--seed", "3", "--set",
                          "width=8", "--epochs", "2"}));
    CHECK(found[0]["section"] == "Moons");
    CHECK(found[0]["watch"] == "max valid.acc");
    CHECK(found[0]["options"] == nlohmann::json::parse(R"({"seed": 3, "batch": 32, "epochs": 2})"));
    CHECK(found[0]["settings"]["width"] == "8");
    CHECK(found[0]["status"] == 0);
    CHECK(found[0]["started"].get<std::string>() <= found[0]["ended"].get<std::string>());

    expect_success(run_netc({"train", "moons.net", "--quiet", "--resume", "a", "--seed", "3",
                             "--set", "width=8", "--epochs", "4"},
                            directory.path()));
    found = record(directory, "a");
    REQUIRE(found.size() == 2);
    CHECK(found[0]["options"]["epochs"] == 2);
    CHECK(found[1]["options"]["epochs"] == 4);

    // A damaged record is no reason not to train.
    directory.write("a/command.json", "{");
    expect_success(run_netc({"train", "moons.net", "--quiet", "--resume", "a", "--seed", "3",
                             "--set", "width=8", "--epochs", "5"},
                            directory.path()));
    CHECK(record(directory, "a").size() == 1);
}

TEST_CASE("a row a run, with what differs") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    for (const char* seed : {"1", "2"}) {
        expect_success(run_netc({"train", "moons.net", "--quiet", "--run",
                                 std::string("runs/s") + seed, "--seed", seed, "--epochs", "3"},
                                directory.path()));
    }
    expect_success(run_netc(
        {"train", "moons.net", "--quiet", "--run", "runs/a", "--seed", "2", "--set", "width=8"},
        directory.path()));
    put(directory, "runs/notes/text.txt", "no run");
    const nlohmann::json runs = json_of(run_netc({"runs", "--json"}, directory.path()));
    REQUIRE(runs.size() == 3);  // runs/latest is another name of the last
    CHECK(runs[0]["name"] == "s1");
    CHECK(runs[2]["name"] == "a");
    CHECK(runs[0]["state"] == "finished");
    CHECK(runs[0]["section"] == "Moons");
    CHECK(runs[0]["epochs"] == 3);
    CHECK(runs[0]["steps"] == 45);
    CHECK(runs[0]["metrics"]["valid.acc"].is_number());
    CHECK(runs[2]["options"]["width"] == "8");

    const Outcome table = run_netc({"runs"}, directory.path());
    expect_success(table);
    const std::string head = table.out.substr(0, table.out.find('\n'));
    CHECK(head.find("run  section  state") == 0);
    CHECK(head.find("valid.loss  valid.acc  seconds  seed  width") != std::string::npos);
    CHECK(head.find("batch") == std::string::npos);

    const nlohmann::json one =
        json_of(run_netc({"runs", "runs/latest", "--json"}, directory.path()));
    REQUIRE(one.size() == 1);
    CHECK(one[0]["name"] == "a");
}

TEST_CASE("runs are sorted by what they logged") {
    const TemporaryDirectory directory;
    const auto log = [&](const std::string& run, const std::string& lines) {
        put(directory, "r/" + run + "/log.jsonl", lines);
    };
    log("a",
        R"({"epoch":1,"step":5,"loss":0.5,"metrics":{"valid.loss":0.4,"valid.acc":0.7},"lr":0.1,"seconds":3}
{"epoch":2,"step":10,"loss":0.4,"metrics":{"valid.loss":0.6,"valid.acc":0.8},"lr":0.1,"seconds":6}
)");
    log("b",
        R"({"epoch":1,"step":5,"loss":0.3,"metrics":{"valid.loss":0.2,"valid.acc":0.6},"lr":0.2,"seconds":2}
)");
    log("c", R"({"epoch":0,"step":2,"loss":0.9,"lr":0.2,"seconds":1}
{"epoch":1,"st)");  // killed in its first epoch
    log("d", "no log\n");
    const auto order = [&](const std::string& sort) {
        std::string names;
        const nlohmann::json runs =
            json_of(run_netc({"runs", "r", "--sort=" + sort, "--json"}, directory.path()));
        for (const auto& run : runs) names += run["name"].get<std::string>();
        return names;
    };
    CHECK(order("valid.acc") == "cdba");  // those without first
    CHECK(order("-valid.acc") == "cdab");
    CHECK(order("seconds") == "dcba");
    CHECK(order("loss") == "dbac");
    CHECK(order("lr") == "dabc");
    const nlohmann::json runs =
        json_of(run_netc({"runs", "r", "--json", "--sort", "steps"}, directory.path()));
    // Of a, the epoch with the smallest loss on held-out data.
    CHECK(runs[3]["name"] == "a");
    CHECK(runs[3]["best_epoch"] == 1);
    CHECK(runs[3]["metrics"]["valid.acc"] == 0.7);
    CHECK(runs[3]["loss"] == 0.4);
    CHECK(runs[0]["note"] == "line 1 of log.jsonl is damaged");
    const Outcome table = run_netc({"runs", "r"}, directory.path());
    expect_success(table);
    CHECK(table.err == "note: d: line 1 of log.jsonl is damaged\n");
    expect_refusal(run_netc({"runs", "r", "--sort", "valid.ac"}, directory.path()), 2,
                   {"no run has a `valid.ac`; there are loss, lr, seconds, epochs, steps, "
                    "valid.loss, valid.acc",
                    "did you mean `valid.acc`?"});
}

TEST_CASE("runs: how a run ended") {
    const TemporaryDirectory directory;
    directory.write("table.net", kTable);
    directory.write("points.csv", "1e30,1e30,0\n1e30,-1e30,1\n-1e30,1e30,2\n1e30,1e30,1\n");
    const Outcome diverged =
        run_netc({"train", "table.net", "--quiet", "--run", "r/diverged"}, directory.path());
    CHECK(diverged.status == 4);
    put(directory, "r/killed/command.json",
        R"([{"arguments": [], "started": "2026-01-01T00:00:00.000Z", "section": "S"}])");
    put(directory, "r/stopped/command.json",
        R"([{"arguments": [], "started": "2026-01-02T00:00:00.000Z", "section": "S", "status": 130}])");
    put(directory, "r/wrong/command.json",
        R"([{"arguments": [], "started": "2026-01-03T00:00:00.000Z", "section": 3, "status": 4}])");
    put(directory, "r/damaged/command.json", "[3]");
    const nlohmann::json runs = json_of(run_netc({"runs", "r", "--json"}, directory.path()));
    REQUIRE(runs.size() == 5);
    CHECK(runs[0]["note"] == "command.json is damaged");
    CHECK(runs[1]["state"] == "interrupted");
    CHECK(runs[2]["state"] == "interrupted");
    CHECK(runs[3]["state"] == "failed (4)");
    CHECK(runs[4]["name"] == "diverged");
    CHECK(runs[4]["state"] == "failed (4)");

    expect_refusal(run_netc({"runs"}, directory.path()), 3, {"there is no directory runs"});
    put(directory, "empty/file", "");
    const Outcome none = run_netc({"runs", "empty"}, directory.path());
    expect_success(none);
    CHECK(none.err == "note: there is no run in empty\n");
    CHECK(json_of(run_netc({"runs", "empty", "--json"}, directory.path())) ==
          nlohmann::json::array());
}
