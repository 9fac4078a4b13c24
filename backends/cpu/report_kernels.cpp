// --report: for each kernel the schedule, why it was chosen, and notes in terms of the shapes that a user knows.
// What the notes look for is what costs most where a kernel stays far below the peak: lanes that stay empty,
// vectors that are gathered, work that no second thread can share.
#include <algorithm>

#include <fmt/format.h>

#include "backends/backend.h"
#include "backends/cpu/emit_program.h"
#include "backends/cpu/schedule_chooser.h"

namespace netc {
namespace {

// Kernels below this do not matter enough to be noted.
constexpr double kNotedWork = 100e3;
constexpr double kFullEnough = 0.8;

std::string to_text(const Param& param) {
    std::string text;
    for (const Extent& extent : param.dims) {
        if (!text.empty()) text += ", ";
        if (extent.per_batch == 0) {
            text += std::to_string(extent.constant);
            continue;
        }
        if (extent.per_batch != 1) text += std::to_string(extent.per_batch) + "*";
        text += "B";
        if (extent.constant != 0) text += fmt::format(" + {}", extent.constant);
    }
    return fmt::format("{}[{}]", name_of(param.dtype), text);
}

class Notes {
public:
    Notes(const Kernel& kernel, const Schedule& schedule, std::int64_t hint)
        : kernel_(kernel), schedule_(schedule), hint_(hint) {}

    std::vector<std::string> run() {
        if (work_of(kernel_, hint_) < kNotedWork) return {};
        if (const auto axis = vector_axis()) {
            note_lanes(*axis);
            note_gathers(*axis);
        } else {
            notes_.push_back(
                "runs without vectors: no axis of it is 2 or longer and lies in a row");
        }
        if (chunk_rule(kernel_, schedule_).count(hint_) < 2)
            notes_.push_back("runs on one thread: its outermost loop has one step, or adds up at "
                             "places that are data");
        return std::move(notes_);
    }

private:
    // Of the stage with the most work, by the number of points that it visits.
    const Stage& main_stage() const { return kernel_.stages[main_number()]; }
    std::size_t main_number() const {
        std::size_t best = 0;
        double most = -1;
        for (std::size_t s = 0; s < kernel_.stages.size(); ++s) {
            double points = 1;
            for (AxisId axis : kernel_.stages[s].axes) points *= size(axis);
            if (kernel_.stages[s].reduction) {
                for (AxisId axis : kernel_.stages[s].reduction->axes) points *= size(axis);
            }
            if (points > most) best = s;
            most = std::max(most, points);
        }
        return best;
    }
    double size(AxisId axis) const {
        return static_cast<double>(kernel_.axes[axis].extent.at(hint_));
    }
    std::optional<AxisId> vector_axis() const {
        return schedule_.vector_axis ? schedule_.vector_axis
                                     : schedule_.stages[main_number()].vector_axis;
    }

    // Where the user sees the axis: the param and the dimension that it walks along.
    std::string place_of(AxisId axis) const {
        const auto find = [&](const Buffer& buffer, const std::vector<Index>& index) {
            if (buffer.kind == Buffer::Kind::local) return std::string();
            for (std::size_t d = 0; d < index.size(); ++d) {
                if (!index[d].is_axis(axis)) continue;
                return fmt::format("dimension {} of {}", d + 1,
                                   to_text(kernel_.params[buffer.index]));
            }
            return std::string();
        };
        for (const Stage& stage : kernel_.stages) {
            for (const Store& store : stage.stores) {
                if (auto text = find(store.target, store.index); !text.empty()) return text;
            }
        }
        for (const Read& read : kernel_.reads) {
            if (auto text = find(read.source, read.index); !text.empty()) return text;
        }
        return "an axis of a window";
    }

    void note_lanes(AxisId axis) {
        const Extent extent = kernel_.axes[axis].extent;
        const std::int64_t elements = extent.at(hint_);
        const std::int64_t vectors = (elements + kLanes - 1) / kLanes;
        const double full = static_cast<double>(elements) / static_cast<double>(vectors * kLanes);
        if (full >= kFullEnough) return;
        const std::string used =
            vectors == 1 ? fmt::format("uses {} of {} lanes", elements, kLanes)
                         : fmt::format("leaves {:.0f} % of its lanes empty", 100 * (1 - full));
        notes_.push_back(
            extent.is_static()
                ? fmt::format("{}: its vectors run along {}; a multiple of {} there fills them",
                              used, place_of(axis), kLanes)
                : fmt::format("{}: its vectors run along the batch; one of {}, or a multiple, "
                              "fills them",
                              used, kLanes));
    }

    // Reads of the main stage whose elements for one vector do not lie side by side, unless they are copied.
    void note_gathers(AxisId axis) {
        for (std::uint32_t r = 0; r < kernel_.reads.size(); ++r) {
            const Read& read = kernel_.reads[r];
            if (read.source.kind == Buffer::Kind::local || !in_step(r)) continue;
            const bool packed = std::ranges::any_of(
                schedule_.packs, [&](const Pack& pack) { return pack.read == r; });
            const Param& param = kernel_.params[read.source.index];
            const std::optional<std::int64_t> step = stride(param, read, axis);
            if (packed || step == 0 || step == 1) continue;
            const std::string which = to_text(param);
            if (read.indirect >= 0)
                notes_.push_back(fmt::format("gathers {} at places that are data", which));
            else if (step)
                notes_.push_back(
                    fmt::format("reads every {}th element of {} for a vector", *step, which));
        }
    }

    bool in_step(std::uint32_t number) const {
        const auto& reduction = main_stage().reduction;
        std::vector<ScalarId> roots;
        if (reduction) {
            roots = reduction->step;
        } else {
            for (const Store& store : main_stage().stores) roots.push_back(store.value);
        }
        return std::ranges::count(reads_of(kernel_, roots), number) > 0;
    }

    // Elements from one point of the axis to the next; nothing where that differs from point to point.
    std::optional<std::int64_t> stride(const Param& param, const Read& read, AxisId axis) const {
        const std::vector<Extent> all = strides(param);
        std::int64_t sum = 0;
        for (std::size_t d = 0; d < read.index.size(); ++d) {
            if (!read.index[d].depends_on(axis)) continue;
            const auto coefficient = read.index[d].coefficient(axis);
            if (!coefficient) return std::nullopt;
            sum += *coefficient * (param.layout.lanes && d == 0 ? 1 : all[d].at(hint_));
        }
        return sum;
    }

    const Kernel& kernel_;
    const Schedule& schedule_;
    std::int64_t hint_;
    std::vector<std::string> notes_;
};

std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) {
        text.replace(at, 1, "; ");
    }
    return text;
}

std::string reason(const Kernel& kernel, const choosing::Chooser& chooser,
                   const Schedule& schedule) {
    const double own = chooser.predicted_cycles(schedule);
    std::string text =
        fmt::format("{:.1f} x faster than plain loops",
                    chooser.predicted_cycles(plain_schedule(kernel)) / std::max(1.0, own));
    if (chooser.best().empty()) return text;
    // The best that differs in more than how far loops are unrolled.
    const auto& [least, first] = chooser.best().front();
    for (const auto& [cost, other] : chooser.best()) {
        if (other.outer == first.outer && other.vector_axis == first.vector_axis) continue;
        const std::string how = one_line(to_text(kernel, other));
        return text + fmt::format("; next, {:.2f} x the cost: {}", cost / least,
                                  how.substr(0, how.find(';')));
    }
    return text;
}

}  // namespace

Result<std::vector<KernelReport>> report_kernels(const Program& program, const CpuTarget& target) {
    auto machine = machine_for(target);
    if (!machine) return machine.error();
    const ProgramCode code = plan_code(program, *machine);
    std::vector<KernelReport> reports;
    for (std::size_t k = 0; k < code.kernels.size(); ++k) {
        const Kernel& kernel = code.kernels[k];
        const Schedule& schedule = code.schedules[k];
        KernelReport report;
        report.schedule = one_line(to_text(kernel, schedule));
        // Two fused multiply-adds a cycle, as the model counts; of matrix units a row of 16 words of terms.
        report.flop_per_cycle = 4 * static_cast<double>(machine->vector_bits) / 32;
        for (std::size_t s = 0; s < schedule.stages.size(); ++s) {
            if (!schedule.stages[s].matrix_rows) continue;
            const auto sum = matrix_sum(kernel, kernel.stages[s]);
            report.flop_per_cycle = 2.0 * kTileRows * kLanes * static_cast<double>(sum->in_word);
        }
        if (kernel.stages.empty() || kernel.axes.size() > 64) {
            report.why = "too large for the model: plain loops";
        } else {
            choosing::Chooser chooser(kernel, *machine, program.batch_hint);
            chooser.choose();
            report.cycles = chooser.predicted_cycles(schedule);
            report.why = reason(kernel, chooser, schedule);
            report.notes = Notes(kernel, schedule, program.batch_hint).run();
        }
        reports.push_back(std::move(report));
    }
    return reports;
}

}  // namespace netc
