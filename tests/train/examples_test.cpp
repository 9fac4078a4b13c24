// links: runtime ir
// The examples that train in seconds reach what their first lines state.
#include <array>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "runtime/files/safetensors.h"
#include "train_example.h"

using namespace netc;

namespace {

std::vector<double> weights_of(const Safetensors& file, const std::string& name) {
    const Safetensors::Tensor* tensor = file.find(name);
    REQUIRE(tensor != nullptr);
    std::vector<double> values;
    for (std::size_t at = 0; at < tensor->size; at += sizeof(float)) {
        float value = 0;
        std::memcpy(&value, file.data(*tensor).data() + at, sizeof value);
        values.push_back(static_cast<double>(value));
    }
    return values;
}

// Least squares with an intercept, by the normal equation and elimination with pivots.
std::array<double, 4> normal_equation(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);  // the header
    double matrix[4][5] = {};
    int rows = 0;
    while (std::getline(file, line)) {
        double x[5] = {0, 0, 0, 1, 0};  // three features, one, the target
        if (std::sscanf(line.c_str(), "%lf,%lf,%lf,%lf", &x[0], &x[1], &x[2], &x[4]) != 4) continue;
        for (int i = 0; i < 4; ++i) {
            for (int j = 0; j < 5; ++j) matrix[i][j] += x[i] * x[j];
        }
        ++rows;
    }
    REQUIRE(rows > 4);
    for (int column = 0; column < 4; ++column) {
        int pivot = column;
        for (int i = column; i < 4; ++i) {
            if (std::abs(matrix[i][column]) > std::abs(matrix[pivot][column])) pivot = i;
        }
        std::swap(matrix[pivot], matrix[column]);
        for (int i = 0; i < 4; ++i) {
            if (i == column) continue;
            const double factor = matrix[i][column] / matrix[column][column];
            for (int j = 0; j < 5; ++j) matrix[i][j] -= factor * matrix[column][j];
        }
    }
    std::array<double, 4> solution{};
    for (std::size_t i = 0; i < 4; ++i) solution[i] = matrix[i][4] / matrix[i][i];
    return solution;
}

}  // namespace

TEST_CASE("xor is solved") {
    const TemporaryDirectory directory;
    const Trained trained = train_example({example("xor.net")}, directory);
    CHECK(trained.epochs.size() == 500);
    CHECK(trained.last("acc") == 1.0);
    CHECK(trained.epochs.back().at("loss").get<double>() < 0.05);
}

TEST_CASE("xor is solved from several seeds") {
    int solved = 0;
    for (const char* seed : {"1", "2", "3", "4", "5"}) {
        const TemporaryDirectory directory;
        solved += train_example({example("xor.net"), "--seed", seed}, directory).last("acc") == 1.0;
    }
    CHECK(solved >= 4);
}

// Novikoff: k updates of squared length at most R^2, each of which brings the weights at least `margin`
// nearer to a plane that separates, so k margin <= |w| and |w|^2 <= k R^2.
TEST_CASE("the perceptron makes no mistakes, after no more updates than Novikoff's bound") {
    constexpr double kPoints[][3] = {{2, 3, 1},  {3, 2, 1},  {4, 1, 1},  {1, 4.5, 1},  {3, 4, 1},
                                     {1, 2, -1}, {2, 1, -1}, {0, 3, -1}, {3, 0.5, -1}, {1, 1, -1}};
    for (const char* seed : {"0", "1", "2"}) {
        INFO("seed " << seed);
        const TemporaryDirectory directory;
        const Trained trained =
            train_example({example("perceptron.net"), "--seed", seed}, directory);
        CHECK(trained.last("mistakes") == 0.0);
        const auto file = read_safetensors(trained.run + "/last.safetensors");
        REQUIRE(file.ok());
        const std::vector<double> w = weights_of(*file, "w");
        const double b = weights_of(*file, "b").at(0);
        const double updates = weights_of(*file, "updates").at(0);
        const double length = w[0] * w[0] + w[1] * w[1] + b * b;
        double farthest = 0, margin = INFINITY;
        for (const auto& [x, y, t] : kPoints) {
            farthest = std::max(farthest, x * x + y * y + 1);
            margin = std::min(margin, t * (w[0] * x + w[1] * y + b) / std::sqrt(length));
        }
        REQUIRE(margin > 0);
        const double bound = farthest / (margin * margin);
        CHECK(trained.last("updates") == updates);
        CHECK(trained.last("bound") == Approx(bound).epsilon(1e-3));
        CHECK(updates > 1);
        CHECK(updates < bound);
        CHECK(length <= updates * farthest);
    }
}

TEST_CASE("lstm and gru remember the first of sixteen numbers") {
    for (const char* unit : {"unit=lstm", "unit=gru"}) {
        INFO(unit);
        const TemporaryDirectory directory;
        const Trained trained =
            train_example({example("lstm_memory.net"), "--set", unit}, directory);
        CHECK(trained.last("valid.acc") >= 0.99);
    }
}

TEST_CASE("linear regression finds what the normal equation gives") {
    const TemporaryDirectory directory;
    const Trained trained = train_example({example("linear_regression.net")}, directory);
    const auto file = read_safetensors(trained.run + "/last.safetensors");
    REQUIRE(file.ok());
    std::vector<double> found = weights_of(*file, "linear_1.weight");
    REQUIRE(found.size() == 3);
    found.push_back(weights_of(*file, "linear_1.bias").at(0));
    const std::array<double, 4> wanted = normal_equation(example("data/plane.csv"));
    for (std::size_t i = 0; i < 4; ++i) CHECK(found[i] == Approx(wanted[i]).margin(1e-3));
}

TEST_CASE("logistic regression separates two clouds") {
    const TemporaryDirectory directory;
    CHECK(train_example({example("logistic_regression.net"), "Logistic"}, directory)
              .last("valid.acc") >= 0.95);
}

TEST_CASE("logistic regression tells benign from malignant") {
    const std::string data = shared_data("tabular", "breast_cancer.csv");
    if (data.empty()) {
        std::puts("SKIPPED: ../shared/data/tabular/breast_cancer.csv is not there");
        return;
    }
    const std::vector<std::string> section{example("logistic_regression.net"), "BreastCancer",
                                           "--data", data};
    double sum = 0;
    constexpr int kDivisions = 10;
    for (int division = 0; division < kDivisions; ++division) {
        const TemporaryDirectory directory;
        std::vector<std::string> arguments = section;
        arguments.insert(arguments.end(), {"--set", fmt::format("division={}", division)});
        const double accuracy = train_example(arguments, directory).last("valid.acc");
        if (division == 0) CHECK(accuracy >= 0.96);
        CHECK(accuracy >= 0.94);
        sum += accuracy;
    }
    CHECK(sum / kDivisions >= 0.97);
}

TEST_CASE("softmax regression reads digits") {
    const TemporaryDirectory directory;
    CHECK(train_example({example("softmax_regression.net")}, directory).last("valid.acc") >= 0.90);
}

TEST_CASE("an MLP with dropout and a penalty reads digits better") {
    const TemporaryDirectory directory;
    const Trained trained = train_example({example("mlp.net")}, directory);
    CHECK(trained.best("valid.acc") >= 0.95);
    CHECK(trained.epochs.back().contains("penalty"));
}
