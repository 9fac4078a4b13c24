// netc: the command line. Declares the verbs and their options; each verb is a file of its own.

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/option_checks.h"
#include "cli/options.h"
#include "cli/run_record.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"

namespace netc {
namespace {

struct Verb {
    const char* name;
    const char* help;
    int (*run)(Options);
    std::function<void(CLI::App&, Options&)> declare;
};

// A flag with an optional value, so that it never takes the next word for its own.
void add_profile_option(CLI::App& verb, Options& o) {
    verb.add_flag("--profile", o.profile, "the time of each kernel: a table, or a trace in =FILE");
}

void declare_check(CLI::App& verb, Options& o) { add_program_options(verb, o, false); }
void declare_fmt(CLI::App& verb, Options& o) {
    verb.add_option("FILE", o.files, ".net files")->required();
    verb.add_flag("--check", o.check,
                  "write nothing; status 1 and the names if a file would change");
}
void declare_summary(CLI::App& verb, Options& o) {
    add_recompute_option(verb, o);
    add_program_options(verb, o);
    verb.add_option("--batch", o.batch, "samples, for the memory")
        ->check(whole_number(1, kMostSamples));
    verb.add_option("--section", o.section, "the train section, where a file has several");
}
void declare_init(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    add_run_options(verb, o);
    verb.add_option("-o,--output", o.output, "the safetensors file")->required();
}
void declare_import(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    verb.add_option("--from", o.load, "the safetensors file of the other framework");
    verb.add_option("--layout", o.layout, "how its tensors lie: pytorch, keras or netc (default)");
    verb.add_option("--map", o.load_map,
                    "FROM=TO, names in the file and in the model, such as 'fc.*=linear_1.*'");
    verb.add_option("--section", o.section, "the train section, where a file has several");
    verb.add_option("-o,--output", o.output, "the safetensors file")->required();
}
void declare_train(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    add_run_options(verb, o);
    add_profile_option(verb, o);
    verb.add_option("--epochs", o.epochs, "instead of the section's")->check(whole_number(1));
    verb.add_option("--steps", o.steps, "instead of the section's")->check(whole_number(1));
    verb.add_option("--load", o.load, "start from these weights");
    verb.add_flag("--partial", o.partial, "with --load: take what matches");
    verb.add_option("--load-map", o.load_map,
                    "with --load: FROM=TO, names in the file and in the model, such as "
                    "'resnet_1.*=backbone.*'");
    verb.add_option("--resume", o.resume,
                    "go on with the run in this directory, default runs/latest")
        ->expected(0, 1);
    verb.add_option("--run", o.run, "directory of the run, default runs/NAME-TIME");
    verb.add_option("--log-every", o.log_every, "also log every N steps")->check(whole_number(1));
    verb.add_flag("--quiet", o.quiet, "only the last line");
    verb.add_flag("--plot", o.plot, "write the learning curve as curve.svg into the run");
}
void declare_eval(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    add_run_options(verb, o);
    add_profile_option(verb, o);
    verb.add_option("--weights", o.weights, "a file or a run directory")->required();
    verb.add_option("--on", o.on, "train, valid or test")
        ->check(CLI::IsMember({"train", "valid", "test"}));
}
void declare_predict(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    add_run_options(verb, o);
    add_profile_option(verb, o);
    verb.add_option("--weights", o.weights, "a file or a run directory")->required();
    verb.add_option("--input", o.inputs,
                    "NAME=FILE for every input: .npy .npz .csv .png .jpg .pgm .ppm");
    verb.add_option("--rows", o.rows, "a table that the section's selectors read");
    verb.add_option("-o,--output", o.output, ".npy, .npz, .csv or .json; default: a table");
}
void declare_grad(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    add_run_options(verb, o);
    verb.add_option("--weights", o.weights, "a file or a run directory")->required();
    verb.add_option("--input", o.inputs, "NAME=FILE, inputs and targets, as for predict")
        ->required();
    verb.add_option("--wrt", o.wrt, "an input whose gradient is wanted too");
    verb.add_option("-o,--output", o.output, "the safetensors file")->required();
}
void declare_gradcheck(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    add_run_options(verb, o);
    verb.add_option("--weights", o.weights, "default: initial weights");
}
void declare_compile(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    add_target_options(verb, o);
    verb.add_option("--section", o.section, "the train section, where a file has several");
    verb.add_option("--batch", o.batch, "the batch to be fast for")
        ->check(whole_number(1, kMostSamples));
    verb.add_option("-o,--output", o.output, "NAME.o; everything else stands beside it")
        ->required();
    verb.add_option("--emit", o.emit,
                    "obj, header, asm, llvm, ptx, weights; default obj,header, and ptx for a GPU")
        ->delimiter(',')
        ->check(CLI::IsMember({"obj", "header", "asm", "llvm", "ptx", "weights"}));
    verb.add_option("--gpu", o.gpu, "with --target=nvptx64: sm_80 (default), sm_90 or sm_90a")
        ->check(CLI::IsMember({"sm_80", "sm_90", "sm_90a"}));
    verb.add_option("--train", o.train, "all (default, also without a word), or no")
        ->expected(0, 1);
    verb.add_option("--weights", o.weights, "for --emit=weights");
    verb.add_option("--prefix", o.prefix, "of all names, default the model's name in lower case");
    verb.add_flag("-M,--MD", o.depfile, "also write a depfile NAME.d");
    verb.add_option("--threads", o.threads, "that compile; default: all cores")
        ->check(whole_number(1, kMostThreads));
    verb.add_option("--cache", o.cache, "directory of the compile cache, or off");
    verb.add_flag("--check-finite", o.check_finite,
                  "calls return E_NAN at the first NaN or infinity");
    verb.add_flag("--report", o.report, "what was chosen for each kernel, why, and what is slow");
    verb.add_flag("--time-report", o.time_report, "where compiling spent its time");
    add_recompute_option(verb, o);
}
void declare_dump(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    add_target_options(verb, o);
    verb.add_option("--stage", o.stage, "ast graph optimized kernels schedule report llvm asm ptx")
        ->check(CLI::IsMember(
            {"ast", "graph", "optimized", "kernels", "schedule", "report", "llvm", "asm", "ptx"}));
    verb.add_option("--gpu", o.gpu, "for ptx: sm_80 (default), sm_90 or sm_90a")
        ->check(CLI::IsMember({"sm_80", "sm_90", "sm_90a"}));
    verb.add_option("--format", o.format, "of graphs: text, dot or svg (Graphviz)")
        ->check(CLI::IsMember({"text", "dot", "svg"}));
    verb.add_option("--print-after", o.print_after, "print the graph after this pass, or all");
    verb.add_flag("--time-report", o.time_report, "where compiling spent its time");
    add_recompute_option(verb, o);
    verb.add_option("--entry", o.entries, "init prepare forward evaluate gradient train_step")
        ->delimiter(',')
        ->check(
            CLI::IsMember({"init", "prepare", "forward", "evaluate", "gradient", "train_step"}));
    verb.add_option("--section", o.section, "the train section, where a file has several");
    verb.add_option("--batch", o.batch, "the batch to compile for")
        ->check(whole_number(1, kMostSamples));
}
void declare_bench(CLI::App& verb, Options& o) {
    verb.add_option("FILE", o.file, "the .net file");
    verb.add_option("NAME", o.name, "the model or train section");
    verb.add_option("--set", o.settings, "NAME=VALUE: an option of the file");
    verb.add_option("--dim", o.dims, "NAME=VALUE: fixes a symbolic dimension");
    verb.add_flag("--json", o.json, "the result as JSON on standard output");
    add_run_options(verb, o);
    verb.add_option("--mode", o.modes, "infer, train")
        ->delimiter(',')
        ->check(CLI::IsMember({"infer", "train"}));
    verb.add_flag("--kernels", o.kernels, "a row per kernel");
    verb.add_option("--weights", o.weights,
                    "in 8-bit integers where this file is of netc quantize; values are random");
    verb.add_flag("--report", o.report,
                  "with each kernel what was chosen for it, why, and what is slow");
    verb.add_flag("--peak", o.peak, "measure the machine");
}
void declare_quantize(CLI::App& verb, Options& o) {
    add_program_options(verb, o);
    add_run_options(verb, o);
    verb.add_option("--weights", o.weights, "a file or a run directory")->required();
    verb.add_option("--samples", o.samples, "training samples that ranges are taken from")
        ->check(whole_number(1))
        ->capture_default_str();
    verb.add_option("--percentile", o.percentile,
                    "percent of the samples that a range holds at either end; the rest is clipped")
        ->check(CLI::Range(50.0, 100.0))
        ->check([](const std::string& text) {  // which lies in no range, and outside of none
            return text.find_first_of("nN") == std::string::npos ? std::string()
                                                                 : text + " is not a number";
        })
        ->capture_default_str();
    verb.add_option("-o,--output", o.output, "the weights with the ranges, a safetensors file")
        ->required();
}
void declare_explain(CLI::App& verb, Options& o) {
    verb.add_option("WHAT", o.action, "the code of a diagnostic, as E0303, or a .net file")
        ->required();
    verb.add_option("NAME", o.name, "the model or train section of the file");
    verb.add_option("--set", o.settings, "NAME=VALUE: an option of the file");
    verb.add_option("--dim", o.dims, "NAME=VALUE: fixes a symbolic dimension");
    verb.add_option("--section", o.section, "the train section, where a file has several");
    verb.add_option("--batch", o.batch, "samples, for the memory")
        ->check(whole_number(1, kMostSamples));
    verb.add_flag("--json", o.json, "the result as JSON on standard output");
    verb.add_option("--weights", o.weights, "a file or a run directory: norms of these weights");
}
void declare_plot(CLI::App& verb, Options& o) {
    verb.add_option("RUN", o.runs, "run directories, or a .net file (and a model's name)")
        ->required();
    verb.add_option("-o,--output", o.output, "the SVG file")->required();
    verb.add_option("--weights", o.weights,
                    "of the .net file's model: its decision boundary over two inputs");
    verb.add_flag("--filters", o.filters, "instead the filters of its first layer");
    verb.add_option("--set", o.settings, "NAME=VALUE: an option of the file");
    verb.add_option("--section", o.section, "the train section, where a file has several");
    verb.add_option("--data", o.data, "directory that data paths start from");
}
void declare_weights(CLI::App& verb, Options& o) {
    verb.add_option("W", o.weights, "a safetensors file or a run directory")->required();
    verb.add_option("GLOB", o.glob, "only the tensors of these names; `*` crosses dots");
    verb.add_flag("--values", o.values, "the numbers instead of what they are like");
    verb.add_flag("--csv", o.csv, "the numbers as lines of tensor,index,value");
    verb.add_option("--npy", o.npy, "the numbers as DIR/TENSOR.npy")->option_text("DIR");
    verb.add_option("--diff", o.diff, "how far the tensors of this file are away")
        ->option_text("W2");
    verb.add_flag("--json", o.json, "the result as JSON on standard output");
}
void declare_runs(CLI::App& verb, Options& o) {
    verb.add_option("DIR", o.file, "the directory of the runs, default runs; or one run");
    verb.add_option("--sort", o.sort,
                    "by a metric, loss, lr, seconds, epochs or steps, the smallest first; "
                    "=-NAME: the largest");
    verb.add_flag("--json", o.json, "the result as JSON on standard output");
}
void declare_cache(CLI::App& verb, Options& o) {
    verb.add_option("ACTION", o.action, "info or clear")
        ->required()
        ->check(CLI::IsMember({"info", "clear"}));
    verb.add_option("--cache", o.cache, "directory of the compile cache");
}

const std::vector<Verb>& verbs() {
    static const std::vector<Verb> all = {
        {"check", "parse and check everything in a file", verb_check, declare_check},
        {"fmt", "write files in their canonical form", verb_fmt, declare_fmt},
        {"summary", "a row per layer: shapes, parameters, FLOPs, memory", verb_summary,
         declare_summary},
        {"init", "write initial weights", verb_init, declare_init},
        {"import", "weights of another framework become weights of a model", verb_import,
         declare_import},
        {"train", "compile and train", verb_train, declare_train},
        {"eval", "the metrics of a train section on given weights", verb_eval, declare_eval},
        {"predict", "outputs for given inputs", verb_predict, declare_predict},
        {"grad", "loss and gradients for given inputs", verb_grad, declare_grad},
        {"gradcheck", "compiled gradients against finite differences", verb_gradcheck,
         declare_gradcheck},
        {"compile", "an object file and its header", verb_compile, declare_compile},
        {"dump", "any stage of the compiler as text", verb_dump, declare_dump},
        {"bench", "steady-state time per call", verb_bench, declare_bench},
        {"quantize", "inference in 8-bit integers: ranges, metrics before and after", verb_quantize,
         declare_quantize},
        {"explain", "the page of a diagnostic; what theory says about a file", verb_explain,
         declare_explain},
        {"ops", "the reference of operators", verb_ops, [](CLI::App&, Options&) {}},
        {"doc", "the reference of the library, or of a file", verb_doc,
         [](CLI::App& verb, Options& o) {
             verb.add_option("FILE", o.file, "a .net file; without it the library");
             verb.add_option("NAME", o.name, "only this declaration");
         }},
        {"plot", "learning curves, decision boundaries and filters as SVG", verb_plot,
         declare_plot},
        {"weights", "what is in a weights file; how two differ", verb_weights, declare_weights},
        {"runs", "a row per training run, with the options that differ", verb_runs, declare_runs},
        {"lsp", "the language server, for editors", verb_lsp,
         [](CLI::App& verb, Options& o) {
             verb.add_flag("--stdio", o.check, "standard input and output, which is all there is");
         }},
        {"cache", "the compile cache", verb_cache, declare_cache},
    };
    return all;
}

// Verbs of the design that a later version brings; they say so.
constexpr const char* kLater[] = {"export", "migrate"};

// One value each time it is given, so that it never takes the FILE behind it; and no empty one, which is a variable of a
// script that nobody set.
void strict(CLI::Option& option) {
    if (!option.nonpositional() || option.get_items_expected_max() == 0) return;
    option.allow_extra_args(false);
    if (option.get_items_expected_min() == 0) return;
    option.check([](const std::string& text) {
        return text.empty() ? std::string("a value is missing") : std::string();
    });
}

int run(int argc, char** argv) {
    CLI::App app{"netc: a compiler for neural networks"};
    app.set_version_flag("--version", std::string("netc ") + NETC_VERSION);
    app.require_subcommand(1);
    app.failure_message([](const CLI::App*, const CLI::Error& error) {
        return fmt::format(
            "error: {}\nhelp: `netc --help` and `netc VERB --help` list what there is\n",
            error.what());
    });
    Options options;
    const Verb* chosen = nullptr;
    for (const Verb& verb : verbs()) {
        CLI::App* sub = app.add_subcommand(verb.name, verb.help);
        verb.declare(*sub, options);
        for (CLI::Option* option : sub->get_options()) strict(*option);
        sub->callback([&chosen, &verb] { chosen = &verb; });
    }
    if (argc > 1 && argv[1][0] != '-') {
        const std::string_view wanted = argv[1];
        for (const char* later : kLater) {
            if (wanted == later)
                return report(
                    {kExitUsage, fmt::format("`netc {}` waits for a later version", later)});
        }
        if (std::ranges::none_of(verbs(), [&](const Verb& verb) { return wanted == verb.name; })) {
            return report({kExitUsage,
                           fmt::format("there is no verb `{}`", wanted),
                           {},
                           "`netc --help` lists the verbs"});
        }
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // --help and --version come this way too, with status 0.
        return app.exit(error) == 0 ? kExitDone : kExitUsage;
    }
    if (Status environment = check_environment(); !environment) {
        return report(environment.error());
    }
    std::error_code not_there;
    if (options.output.ends_with(".net") ||
        std::filesystem::equivalent(options.output, options.file, not_there))
        return report(
            {kExitUsage, fmt::format("--output: {} is the name of a program", options.output)});
    options.arguments.assign(argv + 1, argv + argc);
    // An exception is the end of a run too.
    struct RunEnd {
        Options options;
        int status = kExitRun;
        ~RunEnd() { note_run_end(options, status); }
    } end;
    end.options.run_begun = options.run_begun = std::make_shared<std::string>();
    const int status = end.status = chosen->run(std::move(options));
    if (!out_failure().empty() && status == kExitDone) {
        return report({kExitData, "cannot write standard output: " + out_failure()});
    }
    return status;
}

}  // namespace
}  // namespace netc

int main(int argc, char** argv) {
    netc::keep_standard_descriptors();
    // Threads, and what may not throw, have nobody to catch this for them.
    std::set_terminate([] {
        try {
            if (std::current_exception()) std::rethrow_exception(std::current_exception());
        } catch (const std::bad_alloc&) {
            _exit(netc::report({netc::kExitRun, "no memory"}));
        } catch (...) {
            std::abort();
        }
        std::abort();
    });
    std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is no reason to die in a checkpoint
    std::signal(SIGXFSZ,
                SIG_IGN);  // nor is a limit on the size of files: writing fails and says so
    try {
        return netc::run(argc, argv);
    } catch (const std::bad_alloc&) {
        return netc::report({netc::kExitRun, "no memory"});
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::resource_unavailable_try_again) {
            return netc::report({netc::kExitRun,
                                 "the system gives no further thread",
                                 {},
                                 "use fewer: `--threads 1`"});
        }
        return netc::report({netc::kExitInternal, std::string("internal error: ") + error.what()});
    } catch (const std::exception& error) {
        return netc::report({netc::kExitInternal, std::string("internal error: ") + error.what()});
    }
}
