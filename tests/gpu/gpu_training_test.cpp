// links: ir backends runtime
// Training over the fake driver: each step is started before the result of the one before is read, and what a run
// says and writes is as if it were not.
#include <catch2/catch.hpp>

#include <atomic>
#include <tuple>

#include "runtime/train/checkpoint.h"
#include "runtime/train/trainer.h"
#include "tests/gpu/fake_gpu.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

constexpr Duration kSteps(double count) { return {count, DurationUnit::steps}; }

// One id a row, batches of two in this order; a step adds three to the weight, which is its loss.
struct Subject {
    std::vector<std::int32_t> ids = std::vector<std::int32_t>(8, 1);
    TrainSection section;
    TrainPlan plan;
    Dataset data;

    explicit Subject(std::int64_t epochs = 1) {
        section.shuffle = false;
        plan.batch = 2;
        plan.epochs = epochs;
        plan.identity = "fake";
    }
    void prepare() {
        Field field;
        field.name = "ids";
        field.dtype = field.stored = DType::i32;
        const auto* bytes = reinterpret_cast<const std::byte*>(ids.data());
        field.values.assign(bytes, bytes + ids.size() * sizeof ids[0]);
        data.rows = static_cast<std::int64_t>(ids.size());
        data.fields = {field};
        plan.train_rows.clear();
        for (std::int64_t row = 0; row < data.rows; ++row) plan.train_rows.push_back(row);
        plan.section = &section;
        plan.data = &data;
    }
};

struct Trained {
    std::string order, error;
    std::vector<double> means;  // of the epoch so far, after each step
    TrainOutcome outcome;
    float weight = 0;
};

// `interrupt_after`: steps after which a person asks to stop.
Trained trained(Subject& subject, std::int64_t interrupt_after = 0) {
    subject.prepare();
    const FakeGpu gpu;
    Trained result;
    {
        auto executable = fake_executable();
        REQUIRE(executable.ok());
        auto session = Session::create((*executable)->program(), **executable);
        REQUIRE(session.ok());
        std::atomic<int> interrupt = 0;
        TrainObserver observer;
        observer.on_step = [&](const StepReport& report) {
            result.means.push_back(report.loss);
            if (report.step == interrupt_after) interrupt = 1;
        };
        const auto outcome = train(*session, subject.plan, observer, interrupt);
        result.order = gpu.order();
        if (outcome) {
            result.outcome = *outcome;
            const auto bytes =
                std::as_const(*session).variable((*executable)->program().weights[0]);
            std::memcpy(&result.weight, bytes.data(), sizeof result.weight);
        } else {
            result.error = outcome.error().message;
        }
    }
    CHECK(gpu.problems() == "");
    return result;
}

// Losses are 3, 6, 9, ...
std::vector<double> means(const std::vector<std::int64_t>& steps_of_epochs) {
    std::vector<double> all;
    std::int64_t step = 0;
    for (const std::int64_t steps : steps_of_epochs) {
        double sum = 0;
        for (std::int64_t k = 1; k <= steps; ++k) {
            sum += 3.0 * static_cast<double>(++step);
            all.push_back(sum / static_cast<double>(k));
        }
    }
    return all;
}

}  // namespace

TEST_CASE(
    "a step is started before the loss of the one before is read, where nothing comes between") {
    struct Row {
        const char* what;
        std::string order;
        std::vector<std::int64_t> epochs;
        std::size_t samples;
        std::optional<Duration> validate, save;
    };
    for (const Row& row :
         {Row{"two epochs", "LLWLWLWWLLWLWLWW", {4, 4}, 8, {}, {}},
          Row{"a last batch of another size", "LLWLWWLW", {4}, 7, {}, {}},
          Row{"measured after each second step", "LLWWLLWW", {4}, 8, kSteps(2), {}},
          Row{"saved after the third", "LLWLWWLW", {4}, 8, {}, kSteps(3)},
          Row{"one step", "LW", {1}, 2, {}, {}}}) {
        INFO(row.what);
        const TemporaryDirectory directory;
        auto run = open_run_directory(directory.file("run"), RunMode::fresh);
        REQUIRE(run.ok());
        Subject subject(static_cast<std::int64_t>(row.epochs.size()));
        subject.ids.resize(row.samples, 1);
        subject.section.validate = row.validate;
        if (row.save) subject.section.save_every = SaveEvery{*row.save, "weights"};
        subject.plan.directory = &*run;
        const Trained result = trained(subject);
        CHECK(result.error == "");
        CHECK(result.order == row.order);
        CHECK(result.means == means(row.epochs));
        CHECK(result.weight == static_cast<float>(3 * result.means.size()));
    }
}

TEST_CASE("what a run that is interrupted writes is of the step that it says") {
    const TemporaryDirectory directory;
    Subject subject(2);
    {
        auto run = open_run_directory(directory.file("run"), RunMode::fresh);
        REQUIRE(run.ok());
        REQUIRE(append_line(run->file(kSourceFile), "net 1").ok());
        subject.plan.directory = &*run;
        const Trained stopped = trained(subject, 2);
        CHECK(stopped.outcome.end == TrainEnd::interrupted);
        CHECK(stopped.order == "LLWLWW");  // the third was under way
        CHECK(stopped.outcome.step == 3);
        CHECK(stopped.weight == 9);
    }
    auto run = open_run_directory(directory.file("run"), RunMode::resume);
    REQUIRE(run.ok());
    subject.plan.directory = &*run;
    subject.plan.resume = true;
    const Trained resumed = trained(subject);
    CHECK(resumed.order == "LWLLWLWLWW");
    CHECK(resumed.weight == 24);
    const std::vector<double> all = means({4, 4});
    CHECK(resumed.means == std::vector<double>(all.begin() + 3, all.end()));
}

TEST_CASE("a batch is measured while the one before is read") {
    // The mean over rows of what the first sample of each batch gives: 2 w x, of batches of 2, 2, 2 and 1 or 2.
    for (const auto& [rows, order, mean] :
         {std::tuple(7, "LLWLWWLW", (2 * (2 + 10 + 18) + 26) / 7.0),
          std::tuple(8, "LLWLWLWW", (2 * (2 + 10 + 18 + 26)) / 8.0), std::tuple(1, "LW", 2.0)}) {
        INFO(rows << " rows");
        const FakeGpu gpu;
        {
            auto executable = fake_executable();
            REQUIRE(executable.ok());
            auto session = Session::create((*executable)->program(), **executable);
            REQUIRE(session.ok());
            const float one[] = {1, 1};
            std::memcpy(session->variable((*executable)->program().weights[0]).data(), one,
                        sizeof one);
            Dataset data;
            data.rows = rows;
            Field field;
            field.name = "x";
            field.sample_shape = {2};
            std::vector<float> x;
            for (int k = 0; k < 2 * rows; ++k) x.push_back(static_cast<float>(k + 1));
            const auto* bytes = reinterpret_cast<const std::byte*>(x.data());
            field.values.assign(bytes, bytes + x.size() * sizeof x[0]);
            data.fields = {field};
            std::vector<std::int64_t> all;
            for (std::int64_t row = 0; row < rows; ++row) all.push_back(row);
            const auto measured = evaluate(*session, data, all, 2);
            REQUIRE(measured.ok());
            CHECK((*measured)[0].values[0] == Approx(mean).epsilon(1e-12));
            CHECK(gpu.order() == order);
        }
        CHECK(gpu.problems() == "");
    }
}

TEST_CASE("what goes wrong in a step is told of that step") {
    struct Row {
        std::int32_t id;
        std::string error;
    };
    for (const Row& row :
         {Row{FakeGpu::kNoNumber, "the loss became NaN in step 3 (epoch 1), learning rate nan"},
          Row{FakeGpu::kDeviceFault,
              "step 3 (epoch 1): " + index_out_of_range("train_step").message},
          Row{100, "step 3 (epoch 1): " + index_out_of_range("train_step").message}}) {
        INFO(row.id);
        Subject subject;
        subject.ids[4] = row.id;
        const Trained result = trained(subject);
        CHECK(result.error == row.error);
        CHECK(result.means == means({2}));
    }
}
