// links: runtime ir
// Metrics of the whole set against numbers computed by hand; class weights as in PyTorch.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>

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

// weight_below of many elements is sorted instead of compared one by one: no bit may tell.
TEST_CASE("ranking many scores, with ties and what is no number") {
    const TemporaryDirectory directory;
    directory.write("rank.net", R"(net 1
model Rank(z: f32[B], w: f32[B]) -> f32[B] { param one: f32[] = ones()  return one * weight_below(z, w) }
)");
    expect_success(run_netc({"init", "rank.net", "-o", "w.safetensors"}, directory.path()));
    const std::int64_t count = 2000;
    std::vector<float> z = noise(static_cast<std::size_t>(count)),
                       w = noise(static_cast<std::size_t>(count), 2);
    for (float& value : z) value = std::round(value * 300) / 300;  // some are equal
    z[3] = std::nanf("");
    z[500] = z[501] = INFINITY;
    z[7] = -INFINITY;
    z[8] = -0.0f;
    z[9] = 0.0f;
    for (const bool whole : {true, false}) {
        if (whole) {
            for (float& weight : w) weight = weight > 0 ? 1.0f : 0.0f;
        } else {
            w = noise(static_cast<std::size_t>(count), 3);
        }
        std::vector<float> expected;
        for (const float own : z) {
            float sum = 0;
            for (std::size_t k = 0; k < z.size(); ++k) {
                if (z[k] < own) sum += w[k];
                if (z[k] == own) sum += 0.5f * w[k];
            }
            expected.push_back(sum);
        }
        REQUIRE(put_npy(directory.file("z.npy"), {count}, z));
        REQUIRE(put_npy(directory.file("w.npy"), {count}, w));
        for (const char* threads : {"1", "3"}) {
            INFO(whole << threads);
            expect_success(
                run_netc({"predict", "rank.net", "--weights", "w.safetensors", "--input", "z=z.npy",
                          "--input", "w=w.npy", "--threads", threads, "-o", "out.npy"},
                         directory.path()));
            const Result<Array> out = read_npy(directory.file("out.npy"));
            REQUIRE(out.ok());
            CHECK(std::memcmp(out->bytes.data(), expected.data(),
                              expected.size() * sizeof(float)) == 0);
        }
    }
}

TEST_CASE("auc of many samples takes no time worth mentioning") {
    const TemporaryDirectory directory;
    std::string source = kScores;
    const std::size_t at = source.find("  data"), end = source.find('\n', at);
    source.replace(at, end - at, "  data = npy(x = \"x.npy\", t = \"t.npy\")");
    directory.write("m.net", source);
    const std::int64_t count = 300'000;
    std::vector<float> x = noise(static_cast<std::size_t>(count)), t(x.size());
    double pairs = 0, below = 0, ones = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] = std::round(x[i] * 50);
        t[i] = i % 3 == 0 ? 1 : 0;
        ones += static_cast<double>(t[i]);
    }
    std::map<float, std::pair<double, double>> at_score;
    for (std::size_t i = 0; i < x.size(); ++i)
        (t[i] > 0 ? at_score[x[i]].first : at_score[x[i]].second) += 1;
    for (const auto& [score, counts] : at_score) {
        pairs += counts.first * (below + counts.second / 2);
        below += counts.second;
    }
    REQUIRE(put_npy(directory.file("x.npy"), {count}, x));
    REQUIRE(put_npy(directory.file("t.npy"), {count}, t));
    expect_success(run_netc({"init", "m.net", "-o", "w.safetensors"}, directory.path()));
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome =
        run_netc({"eval", "m.net", "--weights", "w.safetensors", "--json"}, directory.path());
    // Comparing all with all would be 90 thousand million comparisons.
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
    expect_success(outcome);
    const double found = nlohmann::json::parse(outcome.out)["metrics"]["auc"].get<double>();
    CHECK(found == Approx(pairs / (ones * (static_cast<double>(count) - ones))).epsilon(1e-5));
}
