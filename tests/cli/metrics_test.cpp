// links: runtime ir
// Metrics of the whole set against numbers computed by hand; class weights as in PyTorch.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <cmath>

#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

// The score of a sample is its input.
const std::string kScores = R"(net 1
model Scores(x: f32[B]) -> f32[B] { param w: f32[] = ones()  return x * w }
train Scores {
  target t: f32[B]
  data  = inline(x = [2, -1, 0.5, 0.5, -3, 1, 4], t = [1, 0, 0, 1, 1, 0, 1])
  loss  = mse(out, t)
  epochs = 1
  metric auc = auc(out, t)
  metric precision = precision(out, t)
  metric recall = recall(out, t)
  metric f1 = f1(out, t)
  metric rmse = rmse(out, t)
  metric r2 = r2(out, t)
}
)";

// Three classes, the scores are the input.
std::string classes(const std::string& loss, const std::string& labels) {
    return R"(net 1
model Classes(x: f32[B, 3]) -> f32[B, 3] { param w: f32[] = ones()  return x * w }
train Classes {
  target y: i32[B]
  data  = inline(x = [[2, 0, 1], [0, 3, 0], [1, 0, 2], [0, 1, 0]], y = )" +
           labels + ")\n  loss = " + loss + R"(
  epochs = 1
  batch = 4
  metric table = confusion(out, y)
  metric precision = precision(out, y)
  metric recall = recall(out, y)
}
)";
}

nlohmann::json metrics(const std::string& source, const std::string& batch) {
    const TemporaryDirectory directory;
    directory.write("m.net", source);
    expect_success(run_netc({"init", "m.net", "-o", "w.safetensors"}, directory.path()));
    const Outcome outcome =
        run_netc({"eval", "m.net", "--weights", "w.safetensors", "--json", "--batch", batch},
                 directory.path());
    expect_success(outcome);
    return nlohmann::json::parse(outcome.out)["metrics"];
}

}  // namespace

TEST_CASE("a score and two classes: the batch does not matter") {
    for (const char* batch : {"1", "3", "64"}) {
        INFO(batch);
        const nlohmann::json found = metrics(kScores, batch);
        // Positives 2 0.5 -3 4 against negatives -1 0.5 1: 3 + 1.5 + 0 + 3 of 12 pairs.
        CHECK(found["auc"].get<double>() == Approx(7.5 / 12));
        // Decided for 2 0.5 0.5 1 4: three of five are right, three of four are found.
        CHECK(found["precision"].get<double>() == Approx(3.0 / 5));
        CHECK(found["recall"].get<double>() == Approx(3.0 / 4));
        CHECK(found["f1"].get<double>() == Approx(6.0 / 9));
        // Squares of 1 -1 0.5 -0.5 -4 1 3.
        CHECK(found["rmse"].get<double>() == Approx(std::sqrt(28.5 / 7)));
        CHECK(found["r2"].get<double>() == Approx(1 - 28.5 / (12.0 / 7)));
    }
}

TEST_CASE("several classes: a table, and means over the classes that occur") {
    for (const char* batch : {"1", "4"}) {
        // Decided 0 1 2 1 for labels 0 1 1 1.
        const nlohmann::json found =
            metrics(classes("cross_entropy(out, y)", "[0, 1, 1, 1]"), batch);
        CHECK(found["table"] == nlohmann::json::parse("[[1,0,0],[0,2,1],[0,0,0]]"));
        CHECK(found["precision"].get<double>() == Approx(2.0 / 3));
        CHECK(found["recall"].get<double>() == Approx((1.0 + 2.0 / 3) / 3));
    }
}

TEST_CASE("weights, smoothing and ignored labels of the cross entropy") {
    const double scores[4][3] = {{2, 0, 1}, {0, 3, 0}, {1, 0, 2}, {0, 1, 0}};
    const double weight[3] = {1, 2, 0.5};
    // PyTorch: the weighted mean over what counts of (1 - s) times the exact term and s / K times all.
    const auto expected = [&](const std::vector<int>& labels, double smoothing) {
        double sum = 0, total = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            if (labels[i] < 0) continue;
            double z = 0;
            for (const double score : scores[i]) z += std::exp(score);
            const auto label = static_cast<std::size_t>(labels[i]);
            sum += (1 - smoothing) * weight[label] * (std::log(z) - scores[i][label]);
            for (std::size_t k = 0; k < 3; ++k)
                sum += smoothing / 3 * weight[k] * (std::log(z) - scores[i][k]);
            total += weight[label];
        }
        return sum / total;
    };
    const std::string weights = "weight = [1, 2, 0.5]";
    CHECK(metrics(classes("cross_entropy(" + weights + ")(out, y)", "[0, 1, 2, 1]"), "4")["loss"]
              .get<double>() == Approx(expected({0, 1, 2, 1}, 0)));
    CHECK(
        metrics(classes("cross_entropy(" + weights + ", smoothing = 0.2)(out, y)", "[0, 1, 2, 1]"),
                "4")["loss"]
            .get<double>() == Approx(expected({0, 1, 2, 1}, 0.2)));
    const std::string ignoring = classes(
        "cross_entropy(" + weights + ", smoothing = 0.2, ignore = 255)(out, y)", "[0, 255, 2, 1]");
    CHECK(
        metrics(ignoring.substr(0, ignoring.find("  metric")) + "}\n", "4")["loss"].get<double>() ==
        Approx(expected({0, -1, 2, 1}, 0.2)));
}
