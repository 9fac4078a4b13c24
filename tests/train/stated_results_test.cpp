// links: runtime ir
// The examples that need no file reach the result that examples/README.md states, a row each.
#include "train_example.h"

using namespace netc;

namespace {

struct Stated {
    const char* file;
    std::vector<std::string> arguments;  // section, --set
    const char* metric;                  // "loss" for the loss itself
    double low, high;                    // where it ends
};

const std::vector<Stated> kStated{
    {"neurons/perceptron_xor.net", {}, "mistakes", 0.25, 1.0},  // one unit never learns XOR
    {"approximation/sine.net", {}, "valid.worst", 0.0, 1e-2},
    {"approximation/sine.net", {"--set", "width=2"}, "valid.worst", 0.1, 2.0},  // two do not do
    {"regularization/restarts.net", {"Once"}, "acc", 0.5, 0.75},
    {"regularization/restarts.net", {"Restarted"}, "acc", 1.0, 1.0},
    {"piecewise_linear/maxout.net", {}, "error", 0.0, 0.02},
    {"piecewise_linear/hinging_hyperplanes.net", {}, "error", 0.0, 0.04},
    {"piecewise_linear/hinging_hyperplanes.net", {"--set", "planes=2"}, "error", 0.0, 0.05},
    {"piecewise_linear/nested_hinges.net", {}, "error", 0.0, 0.01},
    {"piecewise_linear/chua.net", {}, "error", 0.0, 0.03},
    {"playground/playground.net", {"Circle"}, "valid.acc", 0.97, 1.0},
    {"playground/playground.net", {"Xor"}, "valid.acc", 0.97, 1.0},
    {"playground/playground.net", {"Gauss"}, "valid.acc", 0.97, 1.0},
    {"playground/playground.net", {"Spiral"}, "valid.acc", 0.97, 1.0},
    {"text/transformer.net",
     {"House", "--set", "width=32", "--set", "blocks=2"},
     "valid.loss",
     0.0,
     0.6},
};

Trained train_row(const Stated& row, const TemporaryDirectory& directory) {
    std::vector<std::string> arguments{example(row.file)};
    arguments.insert(arguments.end(), row.arguments.begin(), row.arguments.end());
    return train_example(arguments, directory);
}

// Training and held-out loss of the digits with one kind of regularization.
struct Losses {
    double training = 0, held_out = 0;
    double gap() const { return held_out - training; }
};

Losses regularized(const std::vector<std::string>& arguments) {
    const TemporaryDirectory directory;
    const Trained trained =
        train_row({"regularization/digits.net", arguments, "", 0, 0}, directory);
    return {trained.epochs.back().at("loss").get<double>(), trained.last("valid.loss")};
}

}  // namespace

TEST_CASE("the examples reach their stated results") {
    for (const Stated& row : kStated) {
        INFO(row.file);
        const TemporaryDirectory directory;
        const Trained trained = train_row(row, directory);
        CHECK(trained.last(row.metric) >= row.low);
        CHECK(trained.last(row.metric) <= row.high);
    }
}

TEST_CASE("what keeps a network from learning by heart narrows the gap") {
    const Losses plain = regularized({"Mlp"});
    CHECK(plain.gap() > 0.5);
    for (const char* setting : {"drop=0.5", "l2=1e-3", "l1=2e-4", "noise=0.3"}) {
        INFO(setting);
        const Losses kept = regularized({"Mlp", "--set", setting});
        CHECK(kept.gap() < plain.gap());
        CHECK(kept.held_out < plain.held_out);
    }
    const Losses stopped = regularized({"Stopped"});
    CHECK(stopped.gap() < plain.gap());
    CHECK(stopped.held_out < plain.held_out);
}

TEST_CASE("units with given weights compute logic") {
    const TemporaryDirectory directory;
    const auto run = [&](std::vector<std::string> arguments) {
        const Outcome outcome = run_patiently(netc_command(std::move(arguments), directory.path()));
        INFO(outcome.err);
        REQUIRE(outcome.status == 0);
        return outcome.out;
    };
    const std::string file = example("neurons/mcculloch_pitts.net");
    directory.write("x.csv", "first,second\n0,0\n0,1\n1,0\n1,1\n");
    run({"init", file, "-o", "w.safetensors"});
    const auto json = nlohmann::json::parse(
        run({"predict", file, "--weights", "w.safetensors", "--input", "x=x.csv", "--json"}));
    const auto column = [&](const char* name) {
        std::string digits;
        for (const auto& value : json.at(name))
            digits += value.at(0).get<double>() == 1.0 ? '1' : '0';
        return digits;
    };
    CHECK(column("both") == "0001");
    CHECK(column("either") == "0111");
    CHECK(column("not_first") == "1100");
    CHECK(column("exclusive") == "0110");
}
