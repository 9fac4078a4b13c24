// What the frontend makes of a file, and all that later stages get from it: models and train sections
// as graph functions over shared variables. No frontend type appears here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/data_spec.h"
#include "ir/graph.h"

namespace netc {

enum class DurationUnit : std::uint8_t { epochs, steps, seconds };
struct Duration {
    double value = 0;
    DurationUnit unit = DurationUnit::steps;
    friend bool operator==(const Duration&, const Duration&) = default;
};

enum class ScheduleKind : std::uint8_t { constant, step, exponential, cosine, linear, piecewise };
struct Schedule {
    ScheduleKind kind = ScheduleKind::constant;
    double rate = 0;   // the base rate
    double gamma = 1;  // step, exponential
    Duration every, over, warmup;
    double floor = 0;
    std::vector<std::pair<Duration, double>> points;  // piecewise
};

// lbfgs goes over the whole training data for each step, so it is no part of a train_step.
enum class OptimizerKind : std::uint8_t { sgd, adam, adamw, rmsprop, lbfgs };
struct OptimizerSpec {
    OptimizerKind kind = OptimizerKind::adam;
    Schedule rate;
    double momentum = 0;
    bool nesterov = false;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, alpha = 0.99;
    double weight_decay = 0;     // adamw
    std::optional<double> clip;  // global norm
    std::int64_t history = 10;   // lbfgs: pairs that are remembered
    double tolerance = 1e-9;     // lbfgs: of the largest entry of the gradient
    Span span;
};

enum class Direction01 : std::uint8_t { min, max };
struct Watch {         // min("valid.loss")
    std::string name;  // valid.loss, valid.acc, loss
    Direction01 direction = Direction01::min;
    Span span;
};

struct Metric {
    std::string name;  // a result of `evaluate` or of `measure`
    Span span;
};

// How `evaluate` and `measure` call an output of the model; no name of a user looks like it.
inline constexpr std::string_view kKeptOutput = "output:";
inline std::string kept_output(std::string_view name) {
    return std::string(kKeptOutput) + std::string(name);
}

// load = weights("f", map = [("resnet_1.*", "backbone.*")], partial = true)
struct LoadSpec {
    std::string path;  // relative to the .net file
    std::vector<std::pair<std::string, std::string>> map;
    bool partial = false;
    Span span;
};

// save = every(5ep, "weights"): weights-5.safetensors, weights-10.safetensors, ...
struct SaveEvery {
    Duration period;
    std::string file;
};

// What contractions of f32 multiply, see passes/precision.h: the operands, rounded to bf16, or split into
// two or three parts in bf16. tf32: to the 11 bits that the matrix units of a GPU take; only code for one knows it.
enum class Precision : std::uint8_t { f32, bf16, bf16x3, bf16x6, tf32 };

// A model, elaborated once with training = false. Its variables are shared by all functions; a train
// section has its own Module because the training graph may have further state.
struct Model {
    std::string name;
    std::string doc;
    Span span;
    std::vector<Input> inputs;
    // variables: parameters and state. functions: "forward" (inputs -> outputs).
    Module module;
    std::int64_t parameter_count = 0;  // trainable numbers
};

struct TrainSection {
    std::string name;  // of the section: the model's, or what follows `as`
    std::string model;
    Span span;
    std::vector<Input> targets;
    // variables as in the model (same order; x.scale etc. included). functions:
    //   "forward"   training = false: inputs -> outputs
    //   "training"  training = true: inputs and targets -> loss, penalty (if any); updates of state
    //   "evaluate"  training = false: inputs and targets -> loss, then a result per metric that is
    //               averaged over batches, then the outputs that "measure" reads (kept_output)
    //   "measure"   if some metric wants all samples at once: kept outputs, inputs and targets of
    //               the whole set -> a result per such metric
    Module module;
    std::optional<DataSource> data;  // `train` and `eval` want it, `check` and `compile` do not
    std::optional<DataSource> valid, test;
    std::optional<SplitSpec> split;
    OptimizerSpec optimizer;
    std::int64_t batch = 32;
    Span batch_span;  // of the setting, else of the section
    std::optional<std::int64_t> epochs, steps;
    bool drop_last = false, shuffle = true;
    std::string balance;  // sample = balanced(y): the field whose classes are drawn equally often
    std::uint64_t seed = 0;
    std::optional<Watch> best;             // save = best(by = ...)
    std::optional<std::string> best_file;  // without its ending; best.safetensors is there too
    std::optional<std::pair<double, Watch>> patience;  // stop = patience(epochs, on = ...)
    std::vector<Metric> metrics;
    bool train_metrics = false;
    std::optional<Duration> validate, log;
    std::optional<LoadSpec> load;
    std::optional<SaveEvery> save_every;
    std::int64_t restarts = 1;
    Precision precision = Precision::f32;
    bool normal_equation = false;  // solver = normal_equation(): no optimizer
    // Where its texts stand that a resumed run may find changed: epochs, stop, metric, ...
    std::vector<Span> adjustable;
};

// Whether a step goes over all of the data, by way of `gradient`. Otherwise it is a `train_step`.
inline bool trains_on_all_data(const TrainSection& section) {
    return section.normal_equation || section.optimizer.kind == OptimizerKind::lbfgs;
}

// What a step of training runs.
inline std::string_view training_entry(const TrainSection& section) {
    return trains_on_all_data(section) ? "gradient" : "train_step";
}

struct OptionInfo {
    std::string name, type, value, doc;
    Span span;
};

struct CheckedFile {
    std::vector<Model> models;
    std::vector<TrainSection> sections;
    std::vector<OptionInfo> options;
};

}  // namespace netc
