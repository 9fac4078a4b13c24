// links: runtime ir
// What steps over all data: the normal equation and L-BFGS.
#include <catch2/catch.hpp>

#include <fmt/format.h>

#include <cmath>
#include <random>

#include "tests/cli/training_runs.h"

using namespace netc;

namespace {

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
