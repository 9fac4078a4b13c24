// links: runtime ir
// labels: slow
// The networks that take minutes at their full size, here smaller and for fewer epochs; what they reach at
// full size is measured in examples/README.md.
#include <cstdlib>

#include "train_example.h"

using namespace netc;

namespace {

struct Stated {
    const char* file;
    std::vector<std::string> arguments;
    const char* folder;  // of the data, and a file that is in it
    const char* data;
    const char* metric;
    double low, high;
};

// Five minutes of one core in all.
const std::vector<Stated> kStated{
    {"text/transformer.net",
     {"Shakespeare", "--set", "width=64", "--set", "blocks=2", "--epochs", "1"},
     "tinyshakespeare",
     "input.txt",
     "valid.loss",
     0.0,
     1.85},
    {"cifar/vgg.net",
     {"--set", "width=16", "--epochs", "12"},
     "cifar10",
     "data_batch_1.bin.gz",
     "valid.acc",
     0.72,
     1.0},
    {"cifar/resnet.net",
     {"--set", "width=8", "--epochs", "15"},
     "cifar10",
     "data_batch_1.bin.gz",
     "valid.acc",
     0.72,
     1.0},
};

}  // namespace

TEST_CASE("smaller and shorter, they reach what examples/README.md states") {
    std::size_t skipped = 0;
    for (const Stated& row : kStated) {
        const std::string data = shared_data(row.folder, row.data);
        if (data.empty()) {
            std::printf("SKIPPED: ../shared/data/%s is not there\n", row.folder);
            ++skipped;
            continue;
        }
        INFO(row.file);
        const TemporaryDirectory directory;
        std::vector<std::string> arguments{example(row.file)};
        arguments.insert(arguments.end(), row.arguments.begin(), row.arguments.end());
        arguments.insert(arguments.end(), {"--data", data});
        const Trained trained = train_example(arguments, directory);
        CHECK(trained.best(row.metric) >= row.low);
        CHECK(trained.last(row.metric) <= row.high);
    }
    if (skipped == kStated.size()) {
        std::fflush(stdout);
        std::_Exit(77);
    }
}
