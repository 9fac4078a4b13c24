// netc bench: steady-state time of a call, its rate, its share of this machine's peak; a row per kernel
// where asked. Data is random and stays in memory; the training step moves the parameters as it should.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/cost.h"
#include "cli/kernel_report.h"
#include "cli/layer_rows.h"
#include "cli/peak.h"
#include "cli/resident.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "ir/philox.h"

namespace netc {
namespace {

using Clock = std::chrono::steady_clock;

struct Timing {
    double minimum = 0, median = 0;  // seconds a call
    Status status;
};

// Blocks of at least a millisecond, for `seconds` in all and at least five, after a warm-up.
// `finish` waits for calls that go on beside us, on a GPU.
template <class Work, class Finish>
Timing time_calls(double seconds, Work work, Finish finish) {
    Timing timing;
    auto block = [&](std::int64_t calls) {
        const auto start = Clock::now();
        for (std::int64_t i = 0; i < calls; ++i) {
            if (Status status = work(); !status) {
                timing.status = std::move(status);
                break;
            }
        }
        if (Status status = finish(); !status && timing.status) timing.status = std::move(status);
        return std::chrono::duration<double>(Clock::now() - start).count();
    };
    block(2);
    std::int64_t calls = 1;
    while (timing.status && block(calls) < 1e-3) calls *= 2;
    for (double warm = 0; timing.status && warm < 0.1 * seconds;) warm += block(calls);
    std::vector<double> blocks;
    for (double spent = 0; timing.status && (spent < seconds || blocks.size() < 5);) {
        const double time = block(calls);
        spent += time;
        blocks.push_back(time / static_cast<double>(calls));
    }
    if (!timing.status) return timing;
    std::ranges::sort(blocks);
    timing.minimum = blocks.front();
    timing.median = blocks[blocks.size() / 2];
    return timing;
}

// Uniform numbers in -1 .. 1; labels below their limit. Aligned as the batches of training are.
Result<std::vector<AlignedMemory>> random_inputs(const Entry& entry, std::int64_t batch) {
    std::vector<AlignedMemory> inputs;
    for (std::uint32_t i = 0; i < entry.inputs.size(); ++i) {
        const EntryArgument& input = entry.inputs[i];
        std::int64_t count = 1;
        for (const Extent& extent : input.dims) count *= extent.at(batch);
        const std::int64_t limit = entry.least_limit(i).value_or(2);
        Result<AlignedMemory> bytes = AlignedMemory::allocate(count * size_of(input.dtype));
        if (!bytes) return bytes.error();
        for (std::int64_t k = 0; k < count; ++k) {
            const std::uint32_t word = philox({i, 7}, {static_cast<std::uint32_t>(k), 0, 0, 0})[0];
            std::byte* to = bytes->data() + k * size_of(input.dtype);
            if (is_float(input.dtype)) {
                const double value = static_cast<double>(word) / 2147483648.0 - 1.0;
                const auto narrow = static_cast<float>(value);
                std::memcpy(to,
                            input.dtype == DType::f64 ? static_cast<const void*>(&value) : &narrow,
                            static_cast<std::size_t>(size_of(input.dtype)));
            } else {
                const std::int64_t value = static_cast<std::int64_t>(word) % limit;
                std::memcpy(to, &value, static_cast<std::size_t>(size_of(input.dtype)));
            }
        }
        inputs.push_back(std::move(*bytes));
    }
    return inputs;
}

struct Row {
    std::string what;
    Timing timing;
    double flops = 0, bytes = 0;
    std::int64_t calls = 1;
    std::string place = {};
    std::size_t call = 0;                  // of a kernel: number of its first call, from 1
    const KernelReport* report = nullptr;  // with --report
};

// Entries of one call each, one for every distinct kernel of the entry.
Program single_calls(const Program& program, const Entry& entry, const SourceMap& sources,
                     std::vector<Row>& rows, std::int64_t batch) {
    Program single = program;
    single.entries.clear();
    std::vector<std::uint32_t> seen;
    for (std::size_t c = 0; c < entry.calls.size(); ++c) {
        const Call& call = entry.calls[c];
        const auto known = std::ranges::find(seen, call.kernel);
        if (known != seen.end()) {
            rows[static_cast<std::size_t>(known - seen.begin())].calls += times_called(entry, c);
            continue;
        }
        seen.push_back(call.kernel);
        Entry one = entry;
        one.name = fmt::format("call_{}", rows.size());
        one.calls = {call};
        one.loops.clear();  // the call alone, where its buffers are in the first step
        for (BufferRef& buffer : one.calls[0].arguments) buffer.strides.clear();
        single.entries.push_back(std::move(one));
        const Kernel& kernel = program.kernels[call.kernel];
        rows.push_back({call.label,
                        {},
                        contraction_flops(kernel, batch),
                        traffic_bytes(kernel, batch),
                        times_called(entry, c),
                        place_of(entry, call, sources),
                        c + 1});
    }
    return single;
}

// Of the core that measured the peak: it did as many operations a cycle as the model assumes.
double seconds_per_cycle(const KernelReport& report, const Peak& peak) {
    return report.flop_per_cycle / (peak.gflops * 1e9);
}

void print_row(const Row& row, const Peak& peak, std::int64_t samples) {
    const double gflops = row.flops / row.timing.minimum / 1e9;
    print_out(fmt::format("{:<44} {:>10.2f} us  median {:>10.2f} us", row.what,
                          row.timing.minimum * 1e6, row.timing.median * 1e6));
    if (samples > 0)
        print_out(fmt::format("  {:>10.0f} samples/s",
                              static_cast<double>(samples) / row.timing.minimum));
    if (row.flops > 0) print_out(fmt::format("  {:>7.1f} GFLOP/s", gflops));
    if (row.flops > 0 && peak.gflops > 0)
        print_out(fmt::format(" {:>5.1f} %", 100 * gflops / peak.gflops));
    if (samples == 0)
        print_out(fmt::format("  {:>6.1f} GB/s", row.bytes / row.timing.minimum / 1e9));
    print_out(row.calls > 1 ? fmt::format("  x {}\n", row.calls) : "\n");
    if (row.report != nullptr)
        print_out(report_lines(*row.report, row.place, seconds_per_cycle(*row.report, peak)));
}

nlohmann::ordered_json row_json(const Row& row, const Peak& peak, std::int64_t batch) {
    nlohmann::ordered_json json = {{"what", row.what},
                                   {"batch", batch},
                                   {"seconds_min", row.timing.minimum},
                                   {"seconds_median", row.timing.median},
                                   {"gflops", row.flops / row.timing.minimum / 1e9}};
    if (peak.gflops > 0) json["share_of_peak"] = row.flops / row.timing.minimum / 1e9 / peak.gflops;
    json["samples_per_second"] = static_cast<double>(batch) / row.timing.minimum;
    if (row.call > 0) json["call"] = row.call;
    if (row.report != nullptr) {
        json["place"] = row.place;
        json["seconds_predicted"] = row.report->cycles * seconds_per_cycle(*row.report, peak);
        json["schedule"] = row.report->schedule;
        json["why"] = row.report->why;
        json["notes"] = row.report->notes;
    }
    return json;
}

// What a call needs, and what the process had in use while it was called again and again.
struct Memory {
    double workspace = 0, weights = 0, prepared = 0, optimizer = 0, resident = 0;
    double sum() const { return workspace + weights + prepared + optimizer; }
};

Memory memory_of(const Program& program, const Entry& entry, std::int64_t batch) {
    const auto size = [](bool used, std::int64_t bytes) {
        return used ? static_cast<double>(bytes) : 0.0;
    };
    return {static_cast<double>(entry.workspace.at(batch)),
            size(entry.reads_weights || entry.writes_weights, program.weights_size),
            size(entry.reads_prepared, program.prepared_size),
            size(entry.reads_optimizer || entry.writes_optimizer, program.optimizer_size),
            resident_peak()};
}

void print_memory(const Memory& memory) {
    std::string parts = "workspace " + amount(memory.workspace, "B");
    for (const auto& [name, bytes] :
         {std::pair("weights", memory.weights), std::pair("prepared weights", memory.prepared),
          std::pair("optimizer", memory.optimizer)}) {
        if (bytes > 0) parts += fmt::format(", {} {}", name, amount(bytes, "B"));
    }
    print_out(fmt::format("    memory {}: {}; the process {}\n", amount(memory.sum(), "B"), parts,
                          amount(memory.resident, "B")));
}

int bench_peak(const Options& options, const Peak& peak) {
    if (options.json) {
        print_out(nlohmann::ordered_json{{"vectors", peak.vectors},
                                         {"fma_gflops", peak.gflops},
                                         {"read_gbs", peak.read_gbs},
                                         {"copy_gbs", peak.copy_gbs},
                                         {"fork_join_us", peak.fork_join * 1e6}}
                      .dump() +
                  "\n");
    } else {
        print_out(fmt::format(
            "one core, {}: FMA f32 {:.0f} GFLOP/s, memory read {:.1f} GB/s, copy {:.1f} GB/s\n",
            peak.vectors, peak.gflops, peak.read_gbs, peak.copy_gbs));
        if (peak.fork_join > 0)
            print_out(fmt::format("two threads: fork and join {:.2f} us\n", peak.fork_join * 1e6));
    }
    return kExitDone;
}

}  // namespace

int verb_bench(Options options) {
    const Result<std::optional<int>> gpu = gpu_number(options);
    if (!gpu) return report(gpu.error());
    // Shares are of this machine's CPU: none where it does not work.
    const Peak peak = *gpu ? Peak{} : measure_peak(options.peak ? 1.0 : 0.2);
    if (options.file.empty()) {
        if (options.peak) return bench_peak(options, peak);
        return report({kExitUsage, "bench wants a FILE, or --peak"});
    }
    if (!options.weights.empty()) {
        if (Result<Safetensors> read = read_weights(options.weights, options); !read)
            return report(read.error());
    }
    if (options.kernels || options.report) {
        if (Status s = needs_cpu(options, "a row per kernel"); !s) return report(s.error());
    }
    Result<Opened> opened = open_model(options);
    if (!opened) return report(opened.error());
    const auto& [bench, model, section] = *opened;
    std::vector<std::string> modes = options.modes;
    if (modes.empty())
        modes = section != nullptr ? std::vector<std::string>{"train"}
                                   : std::vector<std::string>{"infer"};
    const std::int64_t batch = options.batch.value_or(section != nullptr ? section->batch : 1);
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const std::string& mode : modes) {
        const bool train = mode == "train";
        if (train && section == nullptr)
            return report({kExitUsage, "--mode=train needs a train section"});
        const std::string entry_name(train ? training_entry(*section) : "forward");
        std::vector<std::string> entries{"init", entry_name};
        if (!train) entries.push_back("prepare");
        Result<std::unique_ptr<Runnable>> runnable =
            make_runnable(*model, section, options, entries, batch, false, true);
        if (!runnable) return report(runnable.error());
        const Program& program = (*runnable)->program;
        const Entry& entry = *program.find(entry_name);
        Result<Session> session = Session::create(program, *(*runnable)->executable);
        if (!session) return report(session.error());
        if (Status s = session->init(options.seed.value_or(0)); !s) return report(s.error());
        session->set_steps_per_epoch(1000);
        if (!train) {
            if (Status s = session->run("prepare", {}, 1); !s) return report(s.error());
        }
        const Result<std::vector<AlignedMemory>> inputs = random_inputs(entry, batch);
        if (!inputs) return report(inputs.error());
        std::vector<const std::byte*> pointers;
        for (const AlignedMemory& bytes : *inputs) pointers.push_back(bytes.data());
        Row whole{fmt::format("{} {} batch {}", model->name, mode, batch),
                  {},
                  contraction_flops(program, entry, batch),
                  0,
                  1};
        reset_resident_peak();
        whole.timing = time_calls(
            2.0, [&] { return session->run(entry_name, pointers, batch); },
            [&] { return session->wait(); });
        if (!whole.timing.status) return report(whole.timing.status.error());
        const Memory memory = memory_of(program, entry, batch);
        if (options.json) {
            json.push_back(row_json(whole, peak, batch));
            json.back()["memory_bytes"] = memory.sum();
            json.back()["resident_bytes"] = memory.resident;
        } else {
            print_row(whole, peak, batch);
            print_memory(memory);
        }
        if (!options.kernels && !options.report) continue;
        std::vector<Row> rows;
        const Program single = single_calls(program, entry, bench->sources, rows, batch);
        JitOptions jit_options;
        jit_options.target = cpu_target(options);
        jit_options.threads = thread_count(options);
        jit_options.cache_directory = cache_directory(options);
        Result<std::unique_ptr<Executable>> executable = jit(single, jit_options);
        if (!executable) return report(executable.error());
        Result<Session> parts = Session::create(single, **executable);
        if (!parts) return report(parts.error());
        for (const VariablePlace& place : program.weights) {
            std::memcpy(parts->variable(place).data(), session->variable(place).data(),
                        static_cast<std::size_t>(place.size));
        }
        for (std::size_t i = 0; i < rows.size(); ++i) {
            rows[i].timing = time_calls(
                0.05, [&] { return parts->run(single.entries[i].name, pointers, batch); },
                [&] { return parts->wait(); });
            if (!rows[i].timing.status) return report(rows[i].timing.status.error());
        }
        std::vector<KernelReport> reports;
        if (options.report) {
            auto made = report_kernels(program, cpu_target(options));
            if (!made) return report(made.error());
            reports = std::move(*made);
            for (std::size_t i = 0; i < rows.size(); ++i)
                rows[i].report = &reports[single.entries[i].calls[0].kernel];
            if (!options.json) print_out((*runnable)->choices);
        }
        std::ranges::sort(rows, std::greater{}, [](const Row& r) {
            return r.timing.minimum * static_cast<double>(r.calls);
        });
        for (const Row& row : rows) {
            if (options.json)
                json.push_back(row_json(row, peak, batch));
            else
                print_row(row, peak, 0);
        }
    }
    if (options.json) print_out(json.dump() + "\n");
    return kExitDone;
}

}  // namespace netc
