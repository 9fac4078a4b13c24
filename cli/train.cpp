// netc train: data, compiled code and a run directory go into the training loop; what comes out is shown.

#include <csignal>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "cli/curves.h"
#include "cli/initial_weights.h"
#include "cli/run_record.h"
#include "cli/section_data.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/weights_file.h"
#include "cli/workbench.h"
#include "frontend/diagnostics.h"
#include "frontend/render.h"
#include "runtime/data/split.h"
#include "runtime/files/files.h"
#include "runtime/train/run_log.h"
#include "runtime/train/trainer.h"

namespace netc {
namespace {

// How often the user asked to stop. The second time ends the process at once: files are renamed into
// place, so the last checkpoint is whole.
// Before the first step there is nothing to save, and compiling or generating data may take long.
std::atomic<int> interrupts{0};
std::atomic<bool> training{false};
extern "C" void on_interrupt(int) {
    if (interrupts.fetch_add(1) == 0 && training) return;
    constexpr char kNothing[] = "stopped before the first step\n";
    if (!training && write(STDERR_FILENO, kNothing, sizeof kNothing - 1) < 0) {
        // nobody listens
    }
    _exit(kExitInterrupted);
}

// What the parent wants ignored stays so: nohup ignores SIGHUP, a shell SIGINT for what runs behind it.
void catch_signals() {
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction inherited = {};
        sigaction(signal, nullptr, &inherited);
        if (inherited.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
    }
}

std::string short_number(double value) {
    if (value >= 1e6) return fmt::format("{:.1f}M", value / 1e6);
    if (value >= 1e3) return fmt::format("{:.1f}k", value / 1e3);
    return fmt::format("{:.0f}", value);
}

std::string time_left(double seconds) {
    if (!std::isfinite(seconds)) return {};
    if (seconds >= 3600)
        return fmt::format("{:.0f} h {:.0f} min left", std::floor(seconds / 3600),
                           std::fmod(seconds, 3600) / 60);
    if (seconds >= 90) return fmt::format("{:.0f} min left", seconds / 60);
    return fmt::format("{:.0f} s left", seconds);
}

std::string restart_text(std::int64_t restart) {
    return restart > 0 ? fmt::format("restart {}  ", restart) : std::string{};
}

std::string epoch_line(const EpochReport& r, std::int64_t epochs) {
    std::string text = restart_text(r.restart);
    text += epochs > 0
                ? fmt::format("epoch {:>{}}/{}", r.epoch, std::to_string(epochs).size(), epochs)
                : fmt::format("step {}", r.step);
    if (r.within && epochs > 0) text += fmt::format("  step {}", r.step);
    text += fmt::format("  loss {:.4f}", r.loss);
    if (!std::isnan(r.penalty)) text += fmt::format("  penalty {:.4f}", r.penalty);
    for (const auto& [name, value] : r.metrics) text += fmt::format("  {} {:.4f}", name, value);
    text += fmt::format("  {:.1f} s  {} samples/s{}\n", r.seconds,
                        short_number(r.samples_per_second), r.best ? "  *" : "");
    return text;
}

TrainObserver make_observer(const Options& options, const TrainPlan& plan, ProgressLine& line) {
    TrainObserver observer;
    using Clock = std::chrono::steady_clock;
    if (line.active() && !options.quiet) {
        observer.on_step = [&line, last = Clock::time_point{}](const StepReport& r) mutable {
            if (Clock::now() - last < std::chrono::milliseconds(100)) return;
            last = Clock::now();
            std::string text = restart_text(r.restart);
            if (r.epochs > 0) text += fmt::format("epoch {}/{}  ", r.epoch, r.epochs);
            line.show(text + fmt::format("step {}/{}  loss {:.4f}  {} samples/s  {}", r.step,
                                         r.steps, r.loss, short_number(r.samples_per_second),
                                         time_left(r.seconds_left)));
        };
    }
    const std::int64_t epochs =
        plan.steps || plan.section->normal_equation ? 0 : plan.epochs.value_or(1);
    // Hundreds of epochs a second are nothing to read: at most twenty lines a second, and the last.
    observer.on_epoch = [&options, &line, epochs,
                         last = Clock::time_point{}](const EpochReport& r) mutable {
        if (options.json) {
            print_out(log_line(r, true, true) + "\n");
            return;
        }
        if (options.quiet) return;
        if (r.epoch != epochs && r.epoch != 1 &&
            Clock::now() - last < std::chrono::milliseconds(50))
            return;
        last = Clock::now();
        line.clear();
        print_out(epoch_line(r, epochs));
        std::fflush(stdout);
    };
    observer.on_note = [&line](const std::string& text) {
        line.clear();
        print_err("note: " + text + "\n");
    };
    return observer;
}

// The user's file among the texts that took part.
std::string_view source_text(const Workbench& bench, const std::string& path) {
    for (std::uint32_t file = 0; file < bench.sources.size(); ++file) {
        if (bench.sources.path(file) == path) return bench.sources.text(file);
    }
    return {};
}

Result<RunDirectory> open_directory(const Options& options, const TrainSection& section) {
    if (options.resume) {
        return open_run_directory(options.resume->empty() ? "runs/latest" : *options.resume,
                                  RunMode::resume);
    }
    if (!options.run.empty()) return open_run_directory(options.run, RunMode::fresh);
    std::string name = section.name;
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    // Two runs that begin in the same second: the second one finds the name taken and takes the next.
    return open_run_directory(unused_run_name("runs", name, std::time(nullptr)), RunMode::fresh);
}

int finish(const Options& options, const RunDirectory& directory, const TrainOutcome& outcome,
           ProgressLine& line) {
    line.clear();
    if (options.plot) {
        if (Status s = write_curves({directory.path()}, directory.file("curve.svg")); !s) {
            return report(s.error());
        }
    }
    if (outcome.end == TrainEnd::interrupted) {
        print_err(fmt::format("stopped after step {}; everything is in {}\ngo on with: {}\n",
                              outcome.step, directory.path(),
                              command_to_go_on(options, directory.path())));
        return kExitInterrupted;
    }
    if (outcome.end == TrainEnd::stopped_early) print_err("stopped early: no more improvement\n");
    if (outcome.end == TrainEnd::converged) {
        print_err(
            fmt::format("converged after {} steps: no smaller loss is found\n", outcome.step));
    }
    if (options.json) return kExitDone;
    if (outcome.best_restart > 0)
        print_err(fmt::format("restart {} is the best\n", outcome.best_restart));
    print_err(fmt::format("weights and log are in {}\n", directory.path()));
    return kExitDone;
}

// What the number of rows makes of the batch: no step at all, or a last one of few rows.
int check_batches(const Workbench& bench, const Options& options, const TrainPlan& plan) {
    if (trains_on_all_data(*plan.section)) return kExitDone;
    const auto rows = static_cast<std::int64_t>(plan.train_rows.size());
    const Span place = options.batch ? Span{} : plan.section->batch_span;
    const std::int64_t rest = rows % plan.batch;
    constexpr std::int64_t kSmall = 4;  // a quarter
    Diagnostics found;
    if (plan.section->drop_last && rows < plan.batch) {
        found.add(diagnose<Code::epoch_without_step>(place, rows, plan.batch));
    } else if (!plan.section->drop_last && rows > plan.batch && rest > 0 &&
               rest * kSmall < plan.batch) {
        found.add(diagnose<Code::last_batch_smaller>(place, rest, plan.batch));
    }
    if (found.all().empty() || (options.quiet && !found.has_errors())) return kExitDone;
    print_err(render(found, bench.sources, {.color = color_on(STDERR_FILENO)}));
    return found.has_errors() ? kExitProgram : kExitDone;
}

// The gradient in double precision, where the section has a solver that wants it.
struct Solver {
    std::unique_ptr<Runnable> runnable;
    Session session;
};

Result<std::unique_ptr<Solver>> make_solver(const Model& model, const TrainSection& section,
                                            const Options& options, std::int64_t batch) {
    if (!section.normal_equation) return std::unique_ptr<Solver>{};
    Result<std::unique_ptr<Runnable>> runnable =
        make_runnable(model, &section, options, {"gradient"}, batch, true, false, true);
    if (!runnable) return runnable.error();
    Result<Session> session = Session::create((*runnable)->program, *(*runnable)->executable);
    if (!session) return session.error();
    return std::make_unique<Solver>(Solver{std::move(*runnable), std::move(*session)});
}

}  // namespace

int verb_train(Options options) {
    catch_signals();
    Result<std::unique_ptr<Workbench>> bench = open_workbench(options);
    if (!bench) return report(bench.error());
    Result<const TrainSection*> section = find_section(**bench, options);
    if (!section) return report(section.error());
    Result<const Model*> model = find_model(**bench, (*section)->model);
    if (!model) return report(model.error());
    if (options.epochs && options.steps)
        return report({kExitUsage, "give --epochs or --steps, not both"});
    if (options.resume && !options.load.empty())
        return report(
            {kExitUsage, "--resume goes on with the weights of the run; --load begins another"});

    TrainPlan plan;
    plan.section = *section;
    plan.batch = options.batch.value_or((*section)->batch);
    plan.epochs = options.steps    ? std::nullopt
                  : options.epochs ? options.epochs
                                   : (*section)->epochs;
    plan.steps = options.epochs ? std::nullopt : options.steps ? options.steps : (*section)->steps;
    plan.seed = options.seed.value_or((*section)->seed);
    plan.log = (*section)->log;
    if (options.log_every) {
        plan.log = Duration{static_cast<double>(*options.log_every), DurationUnit::steps};
    }
    plan.resume = options.resume.has_value();
    if (!plan.epochs && !plan.steps && !(*section)->normal_equation) {
        return report(
            {kExitProgram,
             fmt::format("train section `{}` says neither `epochs` nor `steps`", (*section)->name),
             {},
             "add `epochs = 10`, or give --epochs or --steps"});
    }

    std::vector<std::string> entries{"init", "evaluate", "measure"};
    if (!(*section)->normal_equation) entries.emplace_back(training_entry(**section));
    Result<std::unique_ptr<Runnable>> runnable =
        make_runnable(**model, *section, options, entries, plan.batch, true);
    if (!runnable) return report(runnable.error());
    Result<SectionData> data =
        load_section_data(**model, **section, (*runnable)->program, options, nullptr);
    if (!data) return report(data.error());
    for (const std::string& warning : data->warnings()) print_err("warning: " + warning + "\n");
    if (!options.quiet && !options.json) {
        for (const std::string& line : class_counts(data->train)) print_err(line + "\n");
    }
    plan.data = &data->train;
    plan.train_rows = data->train_rows;
    if (const int status = check_batches(**bench, options, plan); status != kExitDone) {
        return status;
    }
    if (!(*section)->balance.empty()) {
        plan.classes = classes_of(data->train, (*section)->balance, plan.train_rows);
    }
    plan.valid_data = data->valid_data();
    plan.valid_rows = data->valid_rows;

    Result<Session> session = Session::create((*runnable)->program, *(*runnable)->executable);
    if (!session) return report(session.error());
    bool told = false;  // what was loaded, once
    plan.initialize = [&](std::uint64_t seed) -> Status {
        if (Status s = initialize_weights(*session, **model, *section, seed); !s) return s;
        const DataStatistics learned = statistics_of(data->train);
        if (Status s = apply_statistics(*session, learned); !s) return s;
        const Result<bool> trained =
            load_initial_weights(*session, *section, options, !std::exchange(told, true));
        if (!trained) return trained.error();
        return *trained ? Status() : apply_statistics(*session, learned, Replace::fresh);
    };
    // Before there is a directory: what cannot be loaded leaves none behind.
    if (Status s = plan.initialize(plan.seed); !s) return report(s.error());
    Result<std::unique_ptr<Solver>> solver = make_solver(**model, **section, options, plan.batch);
    if (!solver) return report(solver.error());
    if (*solver) plan.solver = &(*solver)->session;
    Result<RunDirectory> directory = open_directory(options, **section);
    if (!directory) return report(directory.error());
    plan.directory = &*directory;
    plan.metadata =
        weights_metadata(**bench, **model, *section, (*runnable)->program, options, &*data);
    plan.identity = run_identity(**bench, options, plan, *data);
    // The source first: what has it is the directory of a run, whenever the process is killed.
    if (!plan.resume) {
        if (Status s = write_file_atomically(directory->file(kSourceFile),
                                             source_text(**bench, options.file));
            !s)
            return report(s.error());
        point_latest_to(*directory);
    }
    std::error_code ignored;
    if ((*section)->split && !std::filesystem::exists(directory->file(kRowsFile), ignored)) {
        const std::string rows = split_to_text(data->train.split, data->train.rows);
        if (Status s = write_file_atomically(directory->file(kRowsFile), rows); !s)
            return report(s.error());
    }
    if (Status s = write_run_record(*directory, **bench, options, plan); !s)
        return report(s.error());

    ProgressLine line;
    const TrainObserver observer = make_observer(options, plan, line);
    training = true;
    Result<TrainOutcome> outcome = train(*session, plan, observer, interrupts);
    line.clear();
    const int status =
        outcome ? finish(options, *directory, *outcome, line) : report(outcome.error());
    return finish_profile(options, **runnable, status);
}

}  // namespace netc
