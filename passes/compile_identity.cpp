// What the compile cache calls a program by, before any pass has run.
#include "ir/archive.h"
#include "ir/graph_identity.h"
#include "passes/pipeline.h"

namespace netc {
namespace {

void write(ArchiveWriter& writer, const Duration& duration) {
    const auto& [value, unit] = duration;
    writer(value, unit);
}

// Structures are taken apart by name, so that a field more does not compile until it is said here what it means.
void write(ArchiveWriter& writer, const Schedule& schedule) {
    const auto& [kind, rate, gamma, every, over, warmup, floor, points] = schedule;
    writer(kind, rate, gamma, floor);
    for (const Duration& duration : {every, over, warmup}) write(writer, duration);
    writer(static_cast<std::uint64_t>(points.size()));
    for (const auto& [from, value] : points) {
        write(writer, from);
        writer(value);
    }
}

void write(ArchiveWriter& writer, const OptimizerSpec& optimizer) {
    const auto& [kind, rate, momentum, nesterov, beta1, beta2, epsilon, alpha, weight_decay, clip,
                 history, tolerance, span] = optimizer;
    write(writer, rate);
    writer(kind, momentum, nesterov, beta1, beta2, epsilon, alpha, weight_decay, clip.has_value(),
           clip.value_or(0), history, tolerance, span.file, span.begin, span.end);
}

}  // namespace

std::string compile_identity(const Model& model, const TrainSection* section,
                             const CompileOptions& options) {
    const auto& [entries, batch_hint, gradient_inputs, log_results, precision, winograd_tile,
                 observe_ranges, ranges, double_precision, recompute, for_gpu, for_object] =
        options;
    ArchiveWriter writer;
    writer(model.name, entries, batch_hint, gradient_inputs, log_results,
           precision.value_or(section != nullptr ? section->precision : Precision::f32),
           winograd_tile, observe_ranges, double_precision, recompute, for_gpu, for_object,
           static_cast<std::uint64_t>(ranges.size()));
    for (const auto& [place, least, greatest] : ranges) writer(place, least, greatest);
    writer(section != nullptr);
    if (section != nullptr) {
        writer(section->normal_equation);
        write(writer, section->optimizer);
    }
    return writer.bytes + graph_identity(section != nullptr ? section->module : model.module);
}

}  // namespace netc
