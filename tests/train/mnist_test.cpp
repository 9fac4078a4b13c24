// links: runtime ir
// labels: slow
// The examples of MNIST on its 10,000 test images.
#include <cstdlib>

#include "train_example.h"

using namespace netc;

namespace {

std::string mnist() {
    const std::string data = shared_data("mnist", "train-images-idx3-ubyte.gz");
    if (data.empty()) {
        std::puts("SKIPPED: ../shared/data/mnist is not there");
        std::fflush(stdout);
        std::_Exit(77);
    }
    return data;
}

struct Stated {
    const char* file;
    std::vector<std::string> settings;
    double accuracy;
};

// What examples/README.md states.
const std::vector<Stated> kStated{
    {"mnist/softmax.net", {}, 0.923},
    {"mnist/one_vs_rest.net", {}, 0.90},
    {"mnist/lenet5.net", {}, 0.991},
    {"mnist/pooling.net", {"--set", "pooling=max"}, 0.985},
    {"mnist/pooling.net", {"--set", "pooling=min"}, 0.985},
    {"mnist/pooling.net", {"--set", "pooling=alpha"}, 0.985},
    {"mnist/deep.net", {"--set", "activation=relu"}, 0.983},
};

}  // namespace

TEST_CASE("the examples reach their stated accuracy on the test images") {
    for (const Stated& row : kStated) {
        INFO(row.file);
        const TemporaryDirectory directory;
        std::vector<std::string> arguments{example(row.file), "--data", mnist()};
        arguments.insert(arguments.end(), row.settings.begin(), row.settings.end());
        CHECK(train_example(arguments, directory).best("valid.acc") >= row.accuracy);
    }
}

TEST_CASE("LeNet-5 tells clothes apart: at least 89 %") {
    const std::string data = shared_data("fashion-mnist", "train-images-idx3-ubyte.gz");
    if (data.empty()) {
        std::puts("SKIPPED: ../shared/data/fashion-mnist is not there");
        return;
    }
    const TemporaryDirectory directory;
    const Trained trained =
        train_example({example("mnist/fashion.net"), "--data", data}, directory);
    CHECK(trained.best("valid.acc") >= 0.89);
}
