// links: runtime
// Run directories, their lock and their log; charts.
#include <catch2/catch.hpp>

#include <cstdio>
#include <map>

#include "runtime/files/chart.h"
#include "runtime/files/files.h"
#include "runtime/files/run_directory.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

TEST_CASE("a run directory is made once and held by one") {
    TemporaryDirectory directory;
    const std::string path = directory.file("runs/a");
    {
        auto run = open_run_directory(path, RunMode::fresh);
        REQUIRE(run.ok());
        CHECK(run->file("log.jsonl") == path + "/log.jsonl");
        const auto second = open_run_directory(path, RunMode::fresh);
        REQUIRE(!second);
        CHECK(second.error().status == 3);
        CHECK(second.error().message == "another netc is training in " + path);
        CHECK(!open_run_directory(path, RunMode::resume));
        RunDirectory moved = std::move(*run);
        CHECK(!open_run_directory(path, RunMode::resume));
        REQUIRE(append_line(moved.file(kSourceFile), "net 1").ok());
    }
    CHECK(open_run_directory(path, RunMode::resume).ok());
    const auto again = open_run_directory(path, RunMode::fresh);
    REQUIRE(!again);
    CHECK(again.error().message == "the run directory " + path + " already holds a run");
    CHECK(again.error().help.find("--resume") != std::string::npos);
    CHECK(open_run_directory(directory.file("nothing"), RunMode::resume)
              .error()
              .message.find("there is no run directory") == 0);
    CHECK(!open_run_directory("/proc/nothing/here", RunMode::fresh));
}

TEST_CASE("latest points to the newest run") {
    TemporaryDirectory directory;
    for (const char* name : {"a", "b"}) {
        const auto run = open_run_directory(directory.file(name), RunMode::fresh);
        REQUIRE(run.ok());
        REQUIRE(append_line(run->file(kSourceFile), "net 1").ok());
        point_latest_to(*run);
        CHECK(std::filesystem::read_symlink(directory.file("latest")) == name);
    }
}

TEST_CASE("names of runs are free") {
    TemporaryDirectory directory;
    const std::string first = unused_run_name(directory.path(), "lenet5", 1'700'000'000);
    CHECK(first.find(directory.file("lenet5-2023-11-1")) == 0);
    std::filesystem::create_directories(first);
    CHECK(unused_run_name(directory.path(), "lenet5", 1'700'000'000) == first + "-2");
}

TEST_CASE("a log keeps whole lines of the state that is resumed") {
    TemporaryDirectory directory;
    const std::string path = directory.file("log.jsonl");
    for (const char* line : {"1", "2", "3"}) REQUIRE(append_line(path, line).ok());
    CHECK(*read_file(path) == "1\n2\n3\n");
    directory.write("log.jsonl", "1\n2\n3\n{\"cut");
    REQUIRE(trim_log(path, [](std::string_view line) { return line != "3"; }).ok());
    CHECK(*read_file(path) == "1\n2\n");
    CHECK(trim_log(directory.file("none"), [](std::string_view) { return true; }).ok());
    CHECK(append_line("/nonexistent/log", "x").error().message ==
          "cannot write /nonexistent/log: there is no such file or directory");
}

TEST_CASE("charts hold every curve and survive odd values") {
    Chart chart{"LeNet5 <b>", "epoch", {}};
    chart.panels.push_back(
        {"loss",
         true,
         {{"train", {{1, 1.0}, {2, 0.1}, {3, 0.0}, {4, NAN}, {5, 0.02}}}, {"valid", {{1, 0.9}}}}});
    chart.panels.push_back({"acc & co", false, {{"valid", {{1, 0.5}, {2, 0.5}}}}});
    chart.panels.push_back({"empty", false, {}});
    const std::string svg = to_svg(chart);
    CHECK(svg.find("<svg xmlns=") == 0);
    CHECK(svg.ends_with("</svg>\n"));
    CHECK(svg.find("LeNet5 &lt;b&gt;") != std::string::npos);
    CHECK(svg.find("acc &amp; co") != std::string::npos);
    CHECK(svg.find("no values") != std::string::npos);
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
    std::size_t curves = 0;
    for (std::size_t at = 0; (at = svg.find("class=\"curve\"", at)) != std::string::npos; ++at)
        ++curves;
    CHECK(curves == 3);
    CHECK(to_svg({}).find("</svg>") != std::string::npos);
}

TEST_CASE("the names of many curves stand on as many lines as they need") {
    Chart chart{"several runs", "epoch", {}};
    for (const char* run : {"plain", "with dropout", "with weight decay", "stopped early"}) {
        for (const char* set : {" held out", " training"}) {
            if (chart.panels.empty()) chart.panels.push_back({"loss", false, {}});
            std::vector<Curve>& curves = chart.panels[0].curves;
            curves.push_back({std::string(run) + set,
                              {{1, 2.0}, {2, 1.0}},
                              curves.size() / 2,
                              std::string(set) == " training"});
        }
    }
    const std::string svg = to_svg(chart);
    CHECK(svg.find("stroke-dasharray") != std::string::npos);
    // `<text x="R" y="Y" text-anchor="end" style="fill:C">NAME`: NAME lies within the picture, and over no other.
    std::map<double, double> free_below;  // of each line
    std::size_t found = 0;
    for (std::size_t at = 0; (at = svg.find("text-anchor=\"end\" style", at)) != std::string::npos;
         ++at, ++found) {
        const std::size_t text = svg.rfind("<text", at);
        double x = 0, y = 0;
        REQUIRE(std::sscanf(svg.c_str() + text, "<text x=\"%lf\" y=\"%lf\"", &x, &y) == 2);
        const std::size_t begin = svg.find('>', at) + 1;
        const double width = 6.0 * static_cast<double>(svg.find('<', begin) - begin);
        const auto [line, is_new] = free_below.emplace(y, 480);
        CHECK(x <= line->second);
        CHECK(x - width >= 0);
        line->second = x - width;
    }
    CHECK(found == 8);
    CHECK(free_below.size() > 1);
}
