// netc_gpu_pack FOLDER [NAME...]: compiles the networks of bench/workloads for GPUs, computes on the CPU what they are to
// give, and writes both to files in the folder, which a machine with a driver and nothing else runs (run.cpp).
//
// Where the environment names NVIDIA's assembler (NETC_PTXAS), files have machine code, else PTX, which the driver there
// compiles.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "bench/gpu/workload_file.h"
#include "frontend/frontend.h"
#include "frontend/render.h"
#include "passes/pipeline.h"
#include "runtime/train/session.h"

using namespace netc;
using namespace netc::gpu_bench;

namespace {

namespace fs = std::filesystem;

// Work is given for one sample, but bytes of the optimizer's update for a call.
struct Row {
    const char* name;
    const char* file;
    const char* model;
    const char* entry;
    std::int64_t batch;        // timed
    double flops = 0;          // of a sample
    double bytes = 0;          // of a sample
    std::int64_t checked = 0;  // batch at which results are compared; 0: they are not
    int steps = 3;
    std::vector<std::pair<std::string, std::int64_t>> dims = {};
    const char* kernel = "";
    Precision precision = Precision::f32;
    double bound = 0;  // see Workload
};

constexpr const char* kTrain = "train_step";
constexpr const char* kForward = "forward";
constexpr double kAdam = 25e6;

const Row kRows[] = {
    {"xor", "xor", "Xor", kTrain, 4, 28, 0, 4, 100},
    {"softmax", "softmax", "Softmax", kTrain, 100, 31'360, 0, 100, 10},
    {"mlp_b64", "mlp", "Mlp", kTrain, 64, 3'209'216, 0, 64, 5},
    {"mlp_b1024", "mlp", "Mlp", kTrain, 1024, 3'209'216, 0, 1024, 2},
    {"lenet5_b64", "lenet5", "LeNet5", kTrain, 64, 2'263'920, 0, 64, 10},
    {"lenet5_b512", "lenet5", "LeNet5", kTrain, 512, 2'263'920, 0, 512, 3},
    {"lstm", "lstm", "Lstm", kTrain, 32, 29'367'808, 0, 32, 2},
    {"chargpt", "chargpt", "CharGpt", kTrain, 16, 711'032'832, 0, 3, 2},
    {"vgg_cifar", "vgg_cifar", "VggCifar", kTrain, 64, 913'062'912, 0, 5, 2},
    {"resnet18_cifar", "resnet18_cifar", "ResNet18Cifar", kTrain, 32, 3'328'997'376, 0, 5, 2},
    {"resnet50_b64", "resnet", "ResNet50", kTrain, 64, 24'299'077'632, 0, 2, 1},
    {"matmul_1024",
     "matmul",
     "MatMul",
     kForward,
     1024,
     2.0 * 1024 * 1024,
     12.0 * 1024,
     70,
     1,
     {{"K", 1024}, {"N", 1024}}},
    {"matmul_4096",
     "matmul",
     "MatMul",
     kForward,
     4096,
     2.0 * 4096 * 4096,
     12.0 * 4096,
     70,
     1,
     {{"K", 4096}, {"N", 4096}}},
    {"gelu", "bandwidth", "Gelu", kForward, 16'384, 0, 16.0 * 4096, 19, 1},
    {"softmax_1000", "bandwidth", "Softmax", kForward, 65'536, 0, 8.0 * 1000, 19, 1},
    {"layer_norm_1024", "bandwidth", "LayerNorm", kForward, 65'536, 0, 8.0 * 1024, 19, 1},
    {"mlp_b1024_tf32",
     "mlp",
     "Mlp",
     kTrain,
     1024,
     3'209'216,
     0,
     1024,
     2,
     {},
     "",
     Precision::tf32,
     1e-3},
    {"matmul_4096_tf32",
     "matmul",
     "MatMul",
     kForward,
     4096,
     2.0 * 4096 * 4096,
     12.0 * 4096,
     70,
     1,
     {{"K", 4096}, {"N", 4096}},
     "",
     Precision::tf32,
     2e-2},
    {"matmul_4096_bf16",
     "matmul",
     "MatMul",
     kForward,
     4096,
     2.0 * 4096 * 4096,
     12.0 * 4096,
     70,
     1,
     {{"K", 4096}, {"N", 4096}},
     "einsum",
     Precision::bf16,
     2e-2},
    {"chargpt_bf16",
     "chargpt",
     "CharGpt",
     kTrain,
     16,
     711'032'832,
     0,
     3,
     2,
     {},
     "",
     Precision::bf16,
     1e-3},
    {"resnet18_bf16",
     "resnet18_cifar",
     "ResNet18Cifar",
     kTrain,
     32,
     3'328'997'376,
     0,
     5,
     2,
     {},
     "",
     Precision::bf16,
     1e-2},
    {"resnet50_b64_bf16",
     "resnet",
     "ResNet50",
     kTrain,
     64,
     24'299'077'632,
     0,
     2,
     1,
     {},
     "",
     Precision::bf16,
     1e-2},
    {"adam_25m", "bandwidth", "Adam", kTrain, 1, 0, 28 * kAdam, 1, 1, {}, "sqrt"},
};

template <class T>
T expect(Result<T> result, const char* name) {
    if (result) return std::move(*result);
    fmt::print(stderr, "{}: {}\n", name, to_string(result.error()));
    std::exit(1);
}
void expect(const Status& status, const char* name) {
    if (status) return;
    fmt::print(stderr, "{}: {}\n", name, to_string(status.error()));
    std::exit(1);
}

Program program_of(const Row& row) {
    CheckOptions check;
    check.dims = row.dims;
    check.only = row.model;
    SourceMap sources;
    Diagnostics diagnostics;
    const std::string path = fmt::format(NETC_WORKLOADS "/{}.net", row.file);
    Result<CheckedFile> file = check_file(path, check, sources, diagnostics);
    if (!file) {
        fmt::print(stderr, "{}", render(diagnostics, sources));
        expect(Status(file.error()), row.name);
    }
    const auto model =
        std::ranges::find_if(file->models, [&](const Model& m) { return m.name == row.model; });
    const auto section = std::ranges::find_if(
        file->sections, [&](const TrainSection& s) { return s.model == row.model; });
    CompileOptions options;
    options.entries = {row.entry};
    // Those that the others begin with, where there are any.
    if (row.entry == std::string_view(kTrain)) options.entries.emplace_back("init");
    options.batch_hint = row.batch;
    options.for_gpu = true;
    if (row.precision != Precision::f32) options.precision = row.precision;
    PassRunner run;
    return expect(
        compile(*model, section == file->sections.end() ? nullptr : &*section, options, run),
        row.name);
}

// NVIDIA's assembler makes a cubin of PTX, where there is one.
std::string assembled(std::string ptx, const std::string& target, const fs::path& folder,
                      const char* name) {
    const char* ptxas = std::getenv("NETC_PTXAS");
    if (ptxas == nullptr) return ptx;
    const fs::path text = folder / "code.ptx", binary = folder / "code.cubin";
    std::ofstream(text, std::ios::binary) << ptx;
    const std::string command =
        fmt::format("'{}' -arch={} '{}' -o '{}'", ptxas, target, text.string(), binary.string());
    if (std::system(command.c_str()) != 0)
        expect(Status(Error{kExitInternal, "ptxas does not take the code"}), name);
    std::ifstream file(binary, std::ios::binary);
    std::string code(std::istreambuf_iterator<char>(file), {});
    fs::remove(text);
    fs::remove(binary);
    return code;
}

// What the CPU gives, in turn.
void compute(const Row& row, const Program& program, Workload& packed) {
    JitOptions options;
    options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    const auto executable = expect(jit(program, options), row.name);
    Session session = expect(Session::create(program, *executable), row.name);
    if (program.find("init") != nullptr) expect(session.init(kSeed), row.name);
    for (int step = 0; step < row.steps; ++step) {
        Expected& call = packed.calls.emplace_back();
        call.entry = row.entry;
        call.batch = row.checked;
        call.seed = static_cast<std::uint32_t>(step % 2);
        const Entry& entry = *program.find(call.entry);
        const auto inputs = inputs_of(entry, call.batch, call.seed);
        std::vector<const std::byte*> pointers;
        for (const auto& input : inputs) pointers.push_back(input.data());
        expect(session.run(call.entry, pointers, call.batch), row.name);
        for (std::size_t k = 0; k < entry.outputs.size(); ++k) {
            const std::span<const std::byte> bytes = session.output(k);
            call.outputs.push_back(hash_of(entry.outputs[k].dtype, bytes.data(), bytes.size()));
            float first = 0;
            if (bytes.size() >= sizeof first && entry.outputs[k].dtype == DType::f32)
                std::memcpy(&first, bytes.data(), sizeof first);
            call.firsts.push_back(first);
        }
    }
    const Session& read = session;
    for (const auto* places : {&program.weights, &program.slots}) {
        for (const VariablePlace& place : *places) {
            const std::span<const std::byte> bytes = read.variable(place);
            packed.variables.push_back(hash_of(place.dtype, bytes.data(), bytes.size()));
        }
    }
}

std::size_t pack(const Row& row, const fs::path& file) {
    const Program program = program_of(row);
    Workload packed;
    packed.name = row.name;
    packed.entry = row.entry;
    packed.batch = row.batch;
    packed.flops = row.flops * static_cast<double>(row.batch);
    packed.bytes = row.bytes * static_cast<double>(row.batch);
    packed.kernel = row.kernel;
    packed.bound = row.bound;
    packed.program = program;
    packed.program.kernels.clear();
    packed.program.kernel_texts.clear();
    for (const Kernel& kernel : program.kernels) packed.params.push_back(kernel.params);
    const bool tf32 = row.precision == Precision::tf32;
    for (const GpuTarget& target : {GpuTarget{80, false, tf32}, GpuTarget{90, true, tf32}}) {
        GpuCode code = expect(emit_gpu_code(program, {}, target), row.name);
        packed.code.push_back(
            {target.name(),
             assembled(std::move(code.ptx), target.name(), file.parent_path(), row.name),
             std::move(code.kernels)});
    }
    if (row.checked > 0) compute(row, program, packed);
    ArchiveWriter writer;
    writer(packed);
    std::ofstream(file, std::ios::binary) << writer.bytes;
    return writer.bytes.size();
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2) {
        fmt::print(stderr, "usage: netc_gpu_pack FOLDER [NAME...]\n");
        return 2;
    }
    const fs::path folder = arguments[1];
    const std::set<std::string> wanted(arguments + 2, arguments + count);
    fs::create_directories(folder);
    int number = 0;
    for (const Row& row : kRows) {
        ++number;
        if (!wanted.empty() && !wanted.contains(row.name)) continue;
        const std::string name = fmt::format("{:02}-{}.gpu", number, row.name);
        const std::size_t bytes = pack(row, folder / name);
        fmt::print("{}: {:.1f} MB\n", name, static_cast<double>(bytes) * 1e-6);
        std::fflush(stdout);
    }
    return 0;
}
