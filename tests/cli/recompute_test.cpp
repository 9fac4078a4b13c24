// links: runtime ir
// --recompute: the same bits in less memory. --report and --time-report say what they should.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "tests/cli/training_runs.h"

using namespace netc;

namespace {

constexpr char kNetwork[] = R"(net 1
model Net(x: f32[B, 1, 28, 28]) -> f32[B, 10] =
  x |> conv(8, bias = false) |> batch_norm |> relu |> conv(8, bias = false) |> batch_norm |> tanh |> dropout(0.3) |> max_pool(2)
    |> conv(16, bias = false) |> batch_norm |> gelu |> flatten |> linear(32) |> sigmoid |> linear(10)
train Net {
  target y: i32[B]
  data = digits(n = 64)  loss = cross_entropy(out, y)  optimizer = adam(lr = 0.01)
  batch = 16  epochs = 2
}
)";

}  // namespace

TEST_CASE("training with --recompute gives the same bits") {
    const TemporaryDirectory directory;
    directory.write("a.net", kNetwork);
    train(directory, "kept", {"--seed", "3"});
    train(directory, "again", {"--seed", "3", "--recompute"});
    CHECK(file_text(directory.file("kept/last.safetensors")) ==
          file_text(directory.file("again/last.safetensors")));
}

TEST_CASE("training with --recompute takes less memory, as summary says") {
    const TemporaryDirectory directory;
    directory.write("a.net", kNetwork);
    const Outcome outcome = run_netc({"summary", "a.net", "--json"}, directory.path());
    expect_success(outcome);
    const nlohmann::json summary = nlohmann::json::parse(outcome.out);
    CHECK(summary["training_bytes_recompute"].get<double>() <
          0.9 * summary["training_bytes"].get<double>());
}

TEST_CASE("what is kept beyond half a gibibyte is computed again unless forbidden") {
    const TemporaryDirectory directory;
    directory.write("a.net", kNetwork);
    const auto bytes = [&](const std::string& batch, const std::vector<std::string>& more) {
        std::vector<std::string> words{"summary", "a.net", "--json", "--batch", batch};
        words.insert(words.end(), more.begin(), more.end());
        const Outcome outcome = run_netc(words, directory.path());
        expect_success(outcome);
        return nlohmann::json::parse(outcome.out)["training_bytes"].get<double>();
    };
    CHECK(bytes("16", {}) == bytes("16", {"--recompute=never"}));
    CHECK(bytes("16", {"--recompute"}) < bytes("16", {}));
    CHECK(bytes("8192", {}) == bytes("8192", {"--recompute=always"}));
    CHECK(bytes("8192", {}) < bytes("8192", {"--recompute=never"}));
    const Outcome wrong = run_netc({"summary", "a.net", "--recompute=often"}, directory.path());
    CHECK(wrong.status == 2);
}

TEST_CASE("reports go to standard error beside an object") {
    const TemporaryDirectory directory;
    directory.write("a.net", kNetwork);
    const Outcome outcome =
        run_netc({"compile", "a.net", "-o", "a.o", "--report", "--time-report", "--train", "no"},
                 directory.path());
    expect_success(outcome);
    CHECK(outcome.out.empty());
    for (const char* words : {"forward: ", "entry forward", "cycles on one core", "why        ",
                              " ms  fuse", " ms  lower", " ms  schedules", "LLVM IR"}) {
        INFO(words << "\n" << outcome.err);
        CHECK(outcome.err.find(words) != std::string::npos);
    }
}
