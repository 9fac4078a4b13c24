// links: runtime ir
// labels: slow
// LeNet-5 on digits that netc draws itself: at least 97 % on those held out.
#include "train_example.h"

using namespace netc;

TEST_CASE("LeNet-5 reads generated digits") {
    const TemporaryDirectory directory;
    const Trained trained = train_example({example("lenet5.net")}, directory);
    CHECK(trained.best("valid.acc") >= 0.97);
    // The best weights are those that were kept.
    const Outcome outcome = run_patiently(netc_command(
        {"eval", example("lenet5.net"), "--weights", trained.run, "--json"}, directory.path()));
    INFO(outcome.err);
    REQUIRE(outcome.status == 0);
    const auto json = nlohmann::json::parse(outcome.out);
    CHECK(json.at("metrics").at("acc").get<double>() ==
          Approx(trained.best("valid.acc")).epsilon(1e-9));
}
