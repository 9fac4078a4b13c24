// Every sample of every operator, forward and backward, compiled for a GPU and computed by the CPU: a file for each
// operator in the folder that NETC_GPU_FOLDER names, which bench/gpu/run.cpp runs where there is a GPU.
#include <cstdlib>
#include <fstream>

#include "bench/gpu/workload_file.h"
#include "tests/cpu/operator_subjects.h"

using namespace netc;
using namespace netc::testing;

namespace {

constexpr std::int64_t kHint = 16;

std::string bytes_of(DType dtype, const std::vector<double>& numbers) {
    std::vector<std::byte> bytes(numbers.size() * static_cast<std::size_t>(size_of(dtype)));
    for (std::size_t i = 0; i < numbers.size(); ++i)
        put_number(dtype, numbers[i], bytes.data() + i * static_cast<std::size_t>(size_of(dtype)));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void pack(OpId op) {
    const Subjects subjects = subjects_of(op);
    if (subjects.all.empty()) return;
    const Program program = program_of(subjects.module, Form::rows, kHint);
    gpu_bench::Workload packed;
    packed.name = std::string(gpu_bench::kOperator) + std::string(name_of(op));
    packed.program = program;
    packed.program.kernels.clear();
    packed.program.kernel_texts.clear();
    for (const Kernel& kernel : program.kernels) packed.params.push_back(kernel.params);
    const GpuTarget target;  // which all later GPUs run too
    Result<GpuCode> code = emit_gpu_code(program, {}, target);
    if (!code) FAIL(to_string(code.error()));
    packed.code.push_back({target.name(), std::move(code->ptx), std::move(code->kernels)});
    const auto cpu = jitted(program);
    Instance instance(program);
    for (std::size_t s = 0; s < subjects.all.size(); ++s) {
        const Subject& subject = subjects.all[s];
        const Entry& entry = *program.find(Subjects::entry(s));
        for (const std::int64_t batch : {3, 17}) {
            const Numbers inputs = inputs_of(subject.function, tensors_of(subject, batch));
            const Numbers outputs = instance.run(*cpu, entry.name, inputs, batch);
            gpu_bench::Expected& call = packed.calls.emplace_back();
            call.entry = entry.name;
            call.batch = batch;
            for (const EntryArgument& input : entry.inputs)
                call.inputs.push_back(bytes_of(input.dtype, inputs.at(input.name)));
            for (const EntryArgument& output : entry.outputs) {
                const std::string bytes = bytes_of(output.dtype, outputs.at(output.name));
                call.outputs.push_back(gpu_bench::hash_of(
                    output.dtype, reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()));
            }
        }
    }
    ArchiveWriter writer;
    writer(packed);
    const std::string path = std::string(std::getenv("NETC_GPU_FOLDER")) + "/operator-" +
                             std::string(name_of(op)) + ".gpu";
    REQUIRE((std::ofstream(path, std::ios::binary) << writer.bytes).good());
}

}  // namespace

TEST_CASE("operators for a GPU elsewhere") {
    REQUIRE(std::getenv("NETC_GPU_FOLDER") != nullptr);
    each_operator(pack);
}
