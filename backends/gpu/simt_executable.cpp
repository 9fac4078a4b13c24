// Programs on the emulator: the code that a GPU would run, compiled for this machine, a thread after the other.
// Slow; for tests.
#include <fmt/format.h>

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/MemoryBuffer.h>

#include "backends/cpu/code_cache.h"
#include "backends/cpu/emit_program.h"
#include "backends/cpu/thread_pool.h"
#include "backends/expand_functions.h"
#include "backends/gpu/emit_gpu.h"
#include "backends/gpu/simt.h"
#include "backends/gpu/simt_tensor_map.h"

namespace netc {
namespace {

Error not_loaded(llvm::Error error) {
    llvm::consumeError(std::move(error));
    return {kExitInternal, "code for the emulator could not be loaded"};
}

class SimtExecutable final : public Executable {
public:
    SimtExecutable(const Program& program, const GpuThresholds& thresholds,
                   const std::string& cache_directory)
        : program_(program), thresholds_(thresholds), cache_(cache_directory) {}
    Status load();
    Status run(std::string_view name, const CallMemory& memory, std::int64_t batch) override;
    const Program& program() const override { return program_; }

private:
    Status compile(std::size_t kernel, llvm::TargetMachine& target);
    Result<std::string> object_of(llvm::Module& module, llvm::TargetMachine& target) const;

    Program program_;
    GpuThresholds thresholds_;
    CodeCache cache_;
    std::vector<GpuKernel> kernels_;
    std::vector<std::vector<SimtFunction>> functions_;  // of each launch
    std::unique_ptr<llvm::orc::LLJIT> jit_;
};

Status SimtExecutable::load() {
    install_llvm_handlers();
    auto machine = machine_for({.triple = "", .cpu = "native", .features = ""});
    if (!machine) return machine.error();
    auto target = make_target_machine(*machine);
    if (!target) return target.error();
    // What is tested is LLVM's IR; good instructions of this machine take longer to find than they save.
    (*target)->setOptLevel(llvm::CodeGenOptLevel::None);
    auto made = llvm::orc::LLJITBuilder().create();
    if (!made) return not_loaded(made.takeError());
    jit_ = std::move(*made);
    auto process = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
        jit_->getDataLayout().getGlobalPrefix());
    if (!process) return not_loaded(process.takeError());
    jit_->getMainJITDylib().addGenerator(std::move(*process));
    llvm::orc::SymbolMap symbols;
    const auto add = [&](const char* name, auto* function) {
        symbols[jit_->mangleAndIntern(name)] = {llvm::orc::ExecutorAddr::fromPtr(function),
                                                llvm::JITSymbolFlags::Exported};
    };
    add("netc_simt_barrier", netc_simt_barrier);
    add("netc_simt_shuffle_xor", netc_simt_shuffle_xor);
    add("netc_simt_multiply", netc_simt_multiply);
    add("netc_simt_read", netc_simt_read);
    add("netc_simt_write", netc_simt_write);
    add("netc_simt_copy_async", netc_simt_copy_async);
    add("netc_simt_commit_copies", netc_simt_commit_copies);
    add("netc_simt_wait_for_copies", netc_simt_wait_for_copies);
    add("netc_simt_load_matrices", netc_simt_load_matrices);
    add("netc_simt_fence_shared", netc_simt_fence_shared);
    add("netc_simt_multiply_warpgroup", netc_simt_multiply_warpgroup);
    add("netc_simt_wait_for_products", netc_simt_wait_for_products);
    add("netc_simt_init_phases", netc_simt_init_phases);
    add("netc_simt_arrive", netc_simt_arrive);
    add("netc_simt_wait_for_phase", netc_simt_wait_for_phase);
    add("netc_simt_copy_box", netc_simt_copy_box);
    if (auto error = jit_->getMainJITDylib().define(llvm::orc::absoluteSymbols(symbols)))
        return not_loaded(std::move(error));
    for (std::size_t k = 0; k < program_.kernels.size(); ++k)
        if (Status status = compile(k, **target); !status) return status;
    return {};
}

Status SimtExecutable::compile(std::size_t number, llvm::TargetMachine& target) {
    Kernel kernel = program_.kernels[number];
    expand_functions(kernel);
    llvm::LLVMContext context;
    const auto module = make_module(context, target, "simt");
    const auto ops = make_simt_ops();
    const std::string name = fmt::format("netc_kernel_{}", number);
    auto made = emit_gpu_kernel(kernel, name, program_.batch_hint, *ops, *module, thresholds_);
    if (!made) return made.error();
    if (llvm::verifyModule(*module))
        return Error{kExitInternal, fmt::format("kernel {} is not valid for the emulator", number)};
    auto object = object_of(*module, target);
    if (!object) return object.error();
    if (auto error = jit_->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(*object)))
        return not_loaded(std::move(error));
    functions_.emplace_back();
    for (const GpuLaunch& launch : made->launches) {
        auto found = jit_->lookup(launch.symbol);
        if (!found) return not_loaded(found.takeError());
        functions_.back().push_back(found->toPtr<SimtFunction>());
    }
    kernels_.push_back(std::move(*made));
    return {};
}

Result<std::string> SimtExecutable::object_of(llvm::Module& module,
                                              llvm::TargetMachine& target) const {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.print(stream, nullptr);
    const std::string key = code_key({"simt", text});
    if (auto known = cache_.load(key)) return std::move(*known);
    optimize_gpu_module(module, target);
    auto object = emit_code(module, target, CodeForm::object);
    if (object) cache_.save(key, *object);
    return object;
}

Status SimtExecutable::run(std::string_view name, const CallMemory& memory, std::int64_t batch) {
    const Entry* entry = program_.find(name);
    if (entry == nullptr) return Error{kExitInternal, fmt::format("no entry {}", name)};
    if (Status status = check_batch(*entry, batch); !status) return status;
    const FlushSubnormals flush;
    std::int32_t fault = 0;
    const auto run_call = [&](const Call& call, const std::vector<std::int64_t>& steps) -> Status {
        const GpuKernel& kernel = kernels_[call.kernel];
        std::vector<const std::byte*> buffers;
        for (const BufferRef& buffer : call.arguments)
            buffers.push_back(memory.region(buffer) + buffer.offset_at(batch, steps));
        // Bits of a NaN: whoever reads what nobody wrote finds no zeros.
        std::vector<std::byte> scratch(static_cast<std::size_t>(kernel.scratch_bytes(batch)),
                                       std::byte{0xff});
        const std::byte* place = scratch.data();
        for (const Param& param : kernel.scratch) {
            buffers.push_back(place);
            place += GpuKernel::scratch_bytes(param, batch);
        }
        auto size = static_cast<std::int32_t>(batch);
        std::int32_t* flag = &fault;
        std::vector<void*> arguments;
        for (const std::byte*& buffer : buffers) arguments.push_back(&buffer);
        arguments.push_back(&size);
        arguments.push_back(&flag);
        for (std::size_t k = 0; k < kernel.launches.size(); ++k) {
            const GpuLaunch& launch = kernel.launches[k];
            std::vector<cuda::TensorMap> maps;
            for (const GpuTensor& view : launch.tensors) {
                const TensorMapRequest request = tensor_map_request(
                    view, reinterpret_cast<cuda::Address>(buffers[view.param]), batch);
                if (const std::string wrong = wrong_with(request); !wrong.empty())
                    return Error{kExitInternal,
                                 fmt::format("{}: a tensor map of {}", call.label, wrong)};
                maps.push_back(simt_tensor_map(request));
            }
            std::vector<void*> all = arguments;
            for (cuda::TensorMap& map : maps) all.push_back(&map);
            const std::string wrong =
                run_simt_grid(functions_[call.kernel][k], all.data(), launch.blocks(batch),
                              launch.threads, launch.shared_bytes);
            if (!wrong.empty())
                return Error{kExitInternal, fmt::format("{}: {}", call.label, wrong)};
        }
        return {};
    };
    if (Status status = run_calls(*entry, run_call); !status) return status;
    if (fault != 0) return index_out_of_range(name);
    return {};
}

}  // namespace

Result<std::unique_ptr<Executable>> emulate_gpu(const Program& program,
                                                const GpuThresholds& thresholds) {
    return emulate_gpu_with(program, thresholds, {});
}

Result<std::unique_ptr<Executable>> emulate_gpu_with(const Program& program,
                                                     const GpuThresholds& thresholds,
                                                     const std::string& cache_directory) {
    auto executable = std::make_unique<SimtExecutable>(program, thresholds, cache_directory);
    if (Status status = executable->load(); !status) return status.error();
    return std::unique_ptr<Executable>(std::move(executable));
}

}  // namespace netc
