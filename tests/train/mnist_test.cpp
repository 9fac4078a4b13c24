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

}  // namespace

TEST_CASE("softmax regression: at least 92 %") {
    const TemporaryDirectory directory;
    const Trained trained =
        train_example({example("mnist/softmax.net"), "--data", mnist()}, directory);
    CHECK(trained.last("valid.acc") >= 0.92);
}

TEST_CASE("LeNet-5: at least 98.8 %") {
    const TemporaryDirectory directory;
    const Trained trained =
        train_example({example("mnist/lenet5.net"), "--data", mnist()}, directory);
    CHECK(trained.best("valid.acc") >= 0.988);
}
