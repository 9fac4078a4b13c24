// links: runtime ir
// Settings of a train section that steer a run: restarts, when it measures, logs and saves, what steps over all data.
#include <catch2/catch.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <sstream>

#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/interrupt.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

// kMoons with other settings at its end.
std::string moons_with(const std::string& settings) {
    const std::string save = "  save      = best(by = max(\"valid.acc\"))\n";
    std::string text = kMoons;
    text.replace(text.find(save), save.size(), settings);
    return text;
}

std::vector<nlohmann::json> log_of(const std::string& run) {
    std::vector<nlohmann::json> lines;
    std::istringstream text(file_text(run + "/log.jsonl"));
    for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
}

std::vector<float> tensor(const std::string& path, const std::string& name) {
    const Result<Safetensors> file = read_safetensors(path);
    REQUIRE(file);
    for (const Safetensors::Tensor& tensor : file->tensors) {
        if (tensor.name != name) continue;
        std::vector<float> values(tensor.size / sizeof(float));
        std::memcpy(values.data(), file->data(tensor).data(), tensor.size);
        return values;
    }
    FAIL(path << " has no " << name);
    return {};
}

void train(const TemporaryDirectory& directory, const std::string& run,
           std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"train", "a.net", "--run", run, "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_success(run_netc(arguments, directory.path()));
}

// y = A x + b + noise, columns of very different size, in a file; the sums that the normal equation wants.
struct Plane {
    static constexpr int kInputs = 3, kRows = 80;
    std::vector<std::vector<double>> x;
    std::vector<double> y;

    explicit Plane(const TemporaryDirectory& directory) {
        std::minstd_rand random(3);
        std::normal_distribution<double> normal;
        std::string csv;
        for (int i = 0; i < kRows; ++i) {
            const std::vector<double> row{normal(random), 300 + 40 * normal(random),
                                          0.01 * normal(random)};
            const double target = 2 * row[0] - 0.3 * row[1] + 55 * row[2] + 7 + normal(random);
            x.emplace_back();
            for (const double value : row) {
                x.back().push_back(static_cast<double>(static_cast<float>(value)));
                csv += fmt::format("{:.9g},", static_cast<float>(value));
            }
            y.push_back(static_cast<double>(static_cast<float>(target)));
            csv += fmt::format("{:.9g}\n", static_cast<float>(target));
        }
        directory.write("plane.csv", csv);
    }

    // Gauss with pivoting on (A'A / n + c) p = A'y / n; the last unknown, the bias, has no penalty.
    std::vector<double> solution(double c) const {
        constexpr int n = kInputs + 1;
        double a[n][n + 1] = {};
        for (int row = 0; row < kRows; ++row) {
            std::vector<double> v = x[static_cast<std::size_t>(row)];
            v.push_back(1);
            for (std::size_t i = 0; i < n; ++i) {
                for (std::size_t j = 0; j < n; ++j) a[i][j] += v[i] * v[j] / kRows;
                a[i][n] += v[i] * y[static_cast<std::size_t>(row)] / kRows;
            }
        }
        for (int i = 0; i < kInputs; ++i) a[i][i] += c;
        for (int i = 0; i < n; ++i) {
            int pivot = i;
            for (int k = i + 1; k < n; ++k) {
                if (std::abs(a[k][i]) > std::abs(a[pivot][i])) pivot = k;
            }
            std::swap(a[i], a[pivot]);
            for (int k = 0; k < n; ++k) {
                if (k == i) continue;
                const double factor = a[k][i] / a[i][i];
                for (int j = i; j <= n; ++j) a[k][j] -= factor * a[i][j];
            }
        }
        std::vector<double> p;
        for (int i = 0; i < n; ++i) p.push_back(a[i][n] / a[i][i]);
        return p;
    }
};

const std::string kPlaneModel = R"(net 1
model Plane(x: f32[B, 3]) -> f32[B, 1] = x |> linear(1)
train Plane {
  target y: f32[B, 1]
  data      = csv("plane.csv", x = cols(0..3), y = col(3))
  loss      = mse(out, y)
  batch     = 32
)";

void expect_solution(const std::string& file, const std::vector<double>& wanted) {
    std::vector<float> found = tensor(file, "linear_1.weight");
    found.push_back(tensor(file, "linear_1.bias")[0]);
    REQUIRE(found.size() == wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        INFO("unknown " << i);
        CHECK(std::abs(static_cast<double>(found[i]) - wanted[i]) <=
              1e-5 * std::max(1.0, std::abs(wanted[i])));
    }
}

}  // namespace

TEST_CASE("the normal equation is solved, with a penalty and without") {
    const TemporaryDirectory directory;
    const Plane plane(directory);
    SECTION("least squares") {
        directory.write("a.net", kPlaneModel + "  solver = normal_equation()\n}\n");
        train(directory, "run");
        expect_solution(directory.file("run/last.safetensors"), plane.solution(0));
    }
    SECTION("ridge") {
        directory.write("a.net",
                        kPlaneModel + "  penalty = l2(0.05)\n  solver = normal_equation()\n}\n");
        train(directory, "run");
        expect_solution(directory.file("run/best.safetensors"), plane.solution(0.05));
        const auto log = log_of(directory.file("run"));
        REQUIRE(log.size() == 1);
        CHECK(log[0]["penalty"].get<double>() > 0);
    }
    SECTION("in double precision") {
        std::string text = kPlaneModel + "  solver = normal_equation()\n  dtype = f64\n}\n";
        for (std::size_t at; (at = text.find("f32")) != std::string::npos;) {
            text.replace(at, 3, "real");
        }
        directory.write("a.net", text);
        train(directory, "run");
    }
    SECTION("columns that are the same have many solutions: one of them") {
        directory.write("plane.csv", "1,1,5,3\n2,2,5,5\n3,3,5,7\n4,4,5,9\n");
        directory.write("a.net", kPlaneModel + "  solver = normal_equation()\n}\n");
        train(directory, "run");
        CHECK(log_of(directory.file("run"))[0]["loss"].get<double>() < 1e-8);
    }
    SECTION("numbers that overflow are named") {
        directory.write("plane.csv", "1e38,1,5,3\n2,2,5,5\n3,3,5,7\n4,4e38,5,9\n");
        directory.write("a.net", kPlaneModel + "  solver = normal_equation()\n}\n");
        const Outcome outcome =
            run_netc({"train", "a.net", "--run", "run", "--quiet"}, directory.path());
        CHECK(outcome.signal == 0);
        CHECK(outcome.status != 70);
    }
}

TEST_CASE("lbfgs falls to the minimum that the normal equation gives, and says so") {
    const TemporaryDirectory directory;
    const Plane plane(directory);
    std::string text = kPlaneModel;
    text.replace(text.find("cols(0..3)"), 10, "standardize(cols(0..3))");
    directory.write("a.net", text + "  optimizer = lbfgs()\n  epochs = 200\n}\n");
    const Outcome outcome = run_netc({"train", "a.net", "--run", "run"}, directory.path());
    expect_success(outcome);
    CHECK(outcome.err.find("converged") != std::string::npos);
    directory.write("b.net", text + "  solver = normal_equation()\n}\n");
    expect_success(run_netc({"train", "b.net", "--run", "exact", "--quiet"}, directory.path()));
    const double found = log_of(directory.file("run")).back()["loss"].get<double>();
    const double exact = log_of(directory.file("exact")).back()["loss"].get<double>();
    CHECK(found == Approx(exact).epsilon(1e-4));
    const auto log = log_of(directory.file("run"));
    REQUIRE(log.size() > 2);
    for (std::size_t i = 1; i < log.size(); ++i) {
        CHECK(log[i]["loss"].get<double>() <= log[i - 1]["loss"].get<double>());
    }
}

TEST_CASE("lbfgs goes on from a checkpoint with the same bits, whatever the threads") {
    const TemporaryDirectory directory;
    directory.write("a.net", R"(net 1
model Moons(x: f32[B, 2]) -> f32[B, 1] = x |> linear(12) |> tanh |> linear(1)
train Moons {
  target y: f32[B, 1]
  data      = moons(n = 300, noise = 0.2, seed = 5)
  loss      = bce_with_logits(out, y)
  penalty   = l2(1e-4)
  optimizer = lbfgs(history = 5)
  batch     = 64
  epochs    = 30
}
)");
    train(directory, "whole", {"--threads", "1"});
    CHECK(log_of(directory.file("whole")).back()["loss"].get<double>() < 0.2);
    train(directory, "part", {"--epochs", "11", "--threads", "2"});
    expect_success(run_netc({"train", "a.net", "--resume", "part", "--quiet", "--threads", "2"},
                            directory.path()));
    expect_same_run(directory.file("part"), directory.file("whole"));
}

TEST_CASE("sections without a step of a batch answer the other verbs") {
    const TemporaryDirectory directory;
    const Plane plane(directory);
    for (const char* setting : {"  optimizer = lbfgs()\n", "  solver = normal_equation()\n"}) {
        directory.write("a.net", kPlaneModel + setting + "}\n");
        for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
                 {"summary", "a.net"},
                 {"explain", "a.net"},
                 {"gradcheck", "a.net"},
                 {"init", "a.net", "-o", "w.safetensors"},
                 {"bench", "a.net", "--mode", "train,infer", "--batch", "4"},
                 {"dump", "a.net", "--stage=schedule"},
                 {"compile", "a.net", "-o", "a.o"}}) {
            INFO(arguments[0] << setting);
            expect_success(run_netc(arguments, directory.path()));
        }
        const std::string header = file_text(directory.file("a.h"));
        CHECK(header.find("plane_forward") != std::string::npos);
        CHECK(header.find("plane_train_step") == std::string::npos);
        CHECK(header.find("plane_gradient") == std::string::npos);
    }
    expect_refusal(run_netc({"train", "a.net", "--run", "r", "--resume", "r"}, directory.path()), 3,
                   {"r"});
}

TEST_CASE("each restart is a run with the next seed, the best of all is kept") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with("  restarts  = 3\n"));
    const Outcome outcome = run_netc({"train", "a.net", "--run", "three"}, directory.path());
    expect_success(outcome);
    directory.write("a.net", moons_with(""));
    double best = 1e9;
    std::string best_run;
    for (const char* seed : {"0", "1", "2"}) {
        const std::string run = std::string("seed") + seed;
        train(directory, run, {"--seed", seed});
        for (const nlohmann::json& line : log_of(directory.file(run))) {
            const double loss = line["metrics"]["valid.loss"].get<double>();
            if (loss < best) best_run = run;
            best = std::min(best, loss);
        }
    }
    const auto weights = [&](const std::string& file) {
        return tensor(directory.file(file), "linear_1.weight");
    };
    CHECK(weights("three/best.safetensors") == weights(best_run + "/best.safetensors"));
    CHECK(weights("three/last.safetensors") == weights("seed2/last.safetensors"));
    const std::string number = std::to_string(best_run.back() - '0' + 1);
    CHECK(outcome.err.find("restart " + number + " is the best") != std::string::npos);
    CHECK(log_of(directory.file("three")).size() == 18);
}

TEST_CASE("restarts go on where they were") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with("  restarts = 4\n  stop = patience(2ep)\n"
                                        "  save = every(2ep, \"kept\")\n"));
    train(directory, "whole", {"--epochs", "40"});
    std::minstd_rand random(11);
    bool interrupted = false;
    for (int i = 0; i < 6; ++i) {
        std::filesystem::remove_all(directory.file("part"));
        Process process(netc_command(
            {"train", "a.net", "--run", "part", "--epochs", "40", "--quiet"}, directory.path()));
        if (!wait_for_log(process, directory.file("part"))) continue;
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 40));
        process.send(SIGINT);
        const Outcome outcome = process.wait();
        if (outcome.status == 130) {
            interrupted = true;
            expect_success(
                run_netc({"train", "a.net", "--resume", "part", "--epochs", "40", "--quiet"},
                         directory.path()));
        }
        expect_same_run(directory.file("part"), directory.file("whole"));
    }
    WARN("interrupted: " << interrupted);
}

TEST_CASE("it measures, logs and saves as often as the section says") {
    const TemporaryDirectory directory;
    // 480 training rows, 15 steps an epoch, 6 epochs.
    SECTION("in steps") {
        directory.write("a.net", moons_with("  validate = every(20st)\n  log = every(6st)\n"
                                            "  save = every(40st)\n"));
        train(directory, "run");
        std::vector<int> measured, logged;
        for (const nlohmann::json& line : log_of(directory.file("run"))) {
            const int step = line["step"].get<int>();
            if (!line.contains("metrics")) {
                logged.push_back(step);
            } else if (line["metrics"].contains("valid.loss")) {
                measured.push_back(step);
            }
        }
        CHECK(measured == std::vector<int>{20, 40, 60, 80, 90});
        CHECK(logged.size() == 15);
        CHECK(logged.front() == 6);
        CHECK(std::filesystem::exists(directory.file("run/step-40.safetensors")));
        CHECK(std::filesystem::exists(directory.file("run/step-80.safetensors")));
        CHECK_FALSE(std::filesystem::exists(directory.file("run/step-20.safetensors")));
        // The weights of that moment.
        train(directory, "forty", {"--steps", "40"});
        CHECK(tensor(directory.file("run/step-40.safetensors"), "linear_2.weight") ==
              tensor(directory.file("forty/last.safetensors"), "linear_2.weight"));
    }
    SECTION("in epochs") {
        directory.write("a.net", moons_with("  validate = every(2ep)\n  log = every(0.5ep)\n"
                                            "  save = every(3ep, \"w.safetensors\")\n"));
        train(directory, "run");
        int measured = 0, between = 0;
        for (const nlohmann::json& line : log_of(directory.file("run"))) {
            if (!line.contains("metrics")) ++between;
            if (line.contains("metrics") && line["metrics"].contains("valid.acc")) ++measured;
        }
        CHECK(measured == 3);
        CHECK(between == 12);
        CHECK(std::filesystem::exists(directory.file("run/w-3.safetensors")));
        CHECK(std::filesystem::exists(directory.file("run/w-6.safetensors")));
    }
    SECTION("in time") {
        directory.write("a.net", moons_with("  validate = every(1h)\n  log = every(1h)\n"
                                            "  save = every(1h)\n"));
        train(directory, "run");
        int measured = 0;
        for (const nlohmann::json& line : log_of(directory.file("run"))) {
            REQUIRE(line.contains("metrics"));
            measured += line["metrics"].contains("valid.acc") ? 1 : 0;
        }
        CHECK(measured == 1);  // at the end
    }
    SECTION("patience counts epochs, however often it measures") {
        directory.write("a.net", moons_with("  validate = every(5st)\n"
                                            "  stop = patience(2ep, on = min(\"valid.loss\"))\n"));
        train(directory, "run", {"--epochs", "500"});
        const auto log = log_of(directory.file("run"));
        double best = 1e9;
        int best_step = 0;
        for (const nlohmann::json& line : log) {
            if (!line["metrics"].contains("valid.loss")) continue;
            const double loss = line["metrics"]["valid.loss"].get<double>();
            if (loss < best) best_step = line["step"].get<int>();
            best = std::min(best, loss);
        }
        CHECK(log.back()["step"].get<int>() == best_step + 30);
    }
}

TEST_CASE("a resumed run may find its end, its log and its metrics changed") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with("  log = every(7st)\n"));
    train(directory, "run", {"--epochs", "2"});
    std::string changed = moons_with(
        "  validate = every(1ep)  # a comment\n\n  save = best(by = min(\"valid.loss\"))\n"
        "  stop = patience(50ep)\n  metric auc = whole(auc(out, y))\n");
    changed.replace(changed.find("epochs    = 6"), 13, "epochs = 8");
    directory.write("a.net", changed);
    expect_success(run_netc({"train", "a.net", "--resume", "run", "--quiet"}, directory.path()));
    const auto log = log_of(directory.file("run"));
    CHECK(log.back()["epoch"] == 8);
    CHECK(log.back()["metrics"].contains("valid.auc"));
    changed.replace(changed.find("momentum = 0.9"), 14, "momentum = 0.8");
    directory.write("a.net", changed);
    expect_refusal(run_netc({"train", "a.net", "--resume", "run"}, directory.path()), 3,
                   {"the source"});
}

TEST_CASE("the best weights have the name that the section gives them, and `best`") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with("  save = best(\"good\", by = max(\"valid.acc\"))\n"));
    train(directory, "run");
    CHECK(file_text(directory.file("run/good.safetensors")) ==
          file_text(directory.file("run/best.safetensors")));
}

TEST_CASE("a run whose state is lost is not begun again over its weights") {
    const TemporaryDirectory directory;
    directory.write("a.net", moons_with(""));
    train(directory, "run", {"--epochs", "2"});
    const std::string last = file_text(directory.file("run/last.safetensors"));
    std::filesystem::remove(directory.file("run/state.safetensors"));
    expect_refusal(run_netc({"train", "a.net", "--resume", "run"}, directory.path()), 3,
                   {"state.safetensors", "--load"});
    CHECK(file_text(directory.file("run/last.safetensors")) == last);
    expect_refusal(
        run_netc({"train", "a.net", "--resume", "run", "--load", "run"}, directory.path()), 2,
        {"--resume", "--load"});
}

TEST_CASE("a batch that does not fit the number of rows is told with its place") {
    const TemporaryDirectory directory;
    std::string text = moons_with("  drop_last = true\n");
    text.replace(text.find("batch     = 32"), 14, "batch = 5000");
    directory.write("a.net", text);
    expect_refusal(run_netc({"train", "a.net", "--run", "run"}, directory.path()), 1,
                   {"E0613", "a.net:11:11", "480", "5000"});
    CHECK_FALSE(std::filesystem::exists(directory.file("run")));
    text.replace(text.find("batch = 5000"), 12, "batch = 95  ");
    text.replace(text.find("drop_last = true"), 16, "");
    directory.write("a.net", text);
    const Outcome outcome = run_netc({"train", "a.net", "--run", "run"}, directory.path());
    expect_success(outcome);
    CHECK(outcome.err.find("W0604") != std::string::npos);
}

TEST_CASE("the rows of a patient stay together, whoever names the column") {
    const TemporaryDirectory directory;
    std::string csv = "a,b,patient,y\n";
    for (int i = 0; i < 60; ++i) {
        csv += fmt::format("{},{},p{},{}\n", i % 7, i % 5, i / 4, i % 2);
    }
    directory.write("people.csv", csv);
    for (const char* group : {"\"patient\"", "col(\"patient\")"}) {
        INFO(group);
        directory.write("a.net", fmt::format(R"(net 1
model People(x: f32[B, 2]) -> f32[B, 2] = x |> linear(2)
train People {{
  target y: i32[B]
  data   = csv("people.csv", x = cols("a", "b"), y = col("y"))
  split  = random(0.5, 0.5, group = {})
  loss   = cross_entropy(out, y)
  epochs = 1
}}
)",
                                             group));
        std::filesystem::remove_all(directory.file("run"));
        train(directory, "run");
        const std::string rows = file_text(directory.file("run/rows.txt"));
        INFO(rows);
        std::map<int, std::string> part_of;
        std::istringstream words(rows);
        std::string part, word;
        while (words >> word) {
            if (std::isdigit(static_cast<unsigned char>(word[0])) == 0) {
                part = word;
            } else if (part != "rows") {
                int first = 0, last = 0;  // 4-15
                if (std::sscanf(word.c_str(), "%d-%d", &first, &last) < 2) last = first;
                for (int row = first; row <= last; ++row) part_of[row] = part;
            }
        }
        REQUIRE(part_of.size() == 60);
        for (const auto& [row, of] : part_of) {
            CHECK(part_of.at(row / 4 * 4) == of);
        }
    }
    directory.write("a.net", moons_with("").replace(moons_with("").find("random("), 7,
                                                    "random(group = \"patient\", "));
    expect_refusal(run_netc({"check", "a.net"}, directory.path()), 1, {"E0101", "patient"});
}
