// The options that the verbs share; every verb that has one reads it the same way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/network.h"
#include "ir/source.h"
#include "passes/quantize.h"

namespace CLI {
class App;
}

namespace netc {

struct Options {
    std::string file;
    std::string name;                   // of a model or section
    std::vector<std::string> settings;  // --set NAME=VALUE
    std::vector<std::string> dims;      // --dim T=128
    std::string data;                   // --data DIR
    std::string section;
    std::string weights;
    std::vector<std::string> inputs;  // --input x=a.npy
    std::optional<std::int64_t> batch, epochs, steps, log_every;
    std::optional<std::uint64_t> seed;
    std::optional<int> threads;
    std::string device = "cpu";  // cpu, gpu, gpu:N
    std::string gpu;             // sm_80, sm_90 or sm_90a instead of what the device has
    std::string cpu = "native", features, target;
    std::optional<Precision> matmul;  // nothing: what the train section says
    std::int64_t winograd_tile = 4;   // of --winograd; 0: off
    // Of `netc quantize`: it asks for them, and read_weights finds them in its file.
    bool observe_ranges = false;
    std::vector<ValueRange> ranges;
    std::int64_t samples = 1024;
    double percentile = 100;
    std::vector<std::string> print_after;
    std::string cache;  // a directory or "off"
    std::string output;
    bool json = false, quiet = false, time_report = false, werror = false, check_finite = false;
    const SourceMap* sources = nullptr;  // of the checked file, for what --check-finite reports
    std::optional<std::string> profile;  // empty or "true": a table on standard error

    // train
    std::string load, run;
    std::vector<std::string> load_map;  // FROM=TO
    std::string layout = "netc";        // import
    bool partial = false, plot = false;
    std::optional<std::string> resume;  // empty text: runs/latest
    // grad, dump, compile, bench
    std::vector<std::string> wrt, emit, entries, modes;
    std::string stage = "graph", train = "all", prefix, rows, on = "valid";
    bool depfile = false, peak = false, kernels = false, report = false;
    std::string recompute = "auto";  // always, never; the flag alone is "true"
    std::string action;              // cache info|clear; a code for explain
    std::vector<std::string> runs;   // plot
    std::vector<std::string> files;  // fmt
    bool check = false;
    std::string format = "text";  // dump
    bool filters = false;         // plot
    // weights
    std::string glob, diff, npy;
    bool values = false, csv = false;
    std::string sort;  // runs

    std::vector<std::string> arguments;  // as they were given, for the record of a run
    // read_weights: what of `settings` and `dims` the command line said, and the file that said the rest.
    std::string settings_from;
    std::size_t own_settings = 0, own_dims = 0;
    std::shared_ptr<std::string> run_begun;  // set by write_run_record, for note_run_end
};

// FILE and how it is read: --set --dim --json --werror.
void add_program_options(CLI::App& verb, Options& options, bool with_name = true);
// What changes how it is compiled and run: --batch --threads --device --cache --print-after --time-report --data.
void add_run_options(CLI::App& verb, Options& options);
void add_recompute_option(CLI::App& verb, Options& options);
void add_target_options(CLI::App& verb, Options& options);
// --matmul, of all verbs that run or compile a network; both of the above have it.
void add_matmul_option(CLI::App& verb, Options& options);

}  // namespace netc
