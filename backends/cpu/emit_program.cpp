// Entries as LLVM functions: addresses from regions, calls in order. See the header.
#include "backends/cpu/emit_program.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "backends/cpu/code_cache.h"
#include "backends/cpu/kernel_emitter.h"
#include "backends/cpu/merge_objects.h"
#include "backends/expand_functions.h"

namespace netc {
namespace {

// Below this many operations a step is dominated by overheads, and a copy for its batch pays.
constexpr double kSmallWork = 200e3;

using Builder = llvm::IRBuilder<>;

struct EntryArguments {
    llvm::Value *weights, *prepared, *optimizer, *workspace, *hyper, *inputs, *outputs, *batch;
};

llvm::Value* bytes_at(Builder& b, const Bytes& bytes, llvm::Value* batch) {
    llvm::Value* sum = b.getInt64(static_cast<std::uint64_t>(bytes.constant));
    if (bytes.per_16 != 0) {
        llvm::Value* blocks = b.CreateLShr(b.CreateAdd(batch, b.getInt64(15)), 4);
        sum = b.CreateAdd(
            sum, b.CreateMul(blocks, b.getInt64(static_cast<std::uint64_t>(bytes.per_16))));
    }
    if (bytes.per_sample != 0) {
        sum = b.CreateAdd(
            sum, b.CreateMul(batch, b.getInt64(static_cast<std::uint64_t>(bytes.per_sample))));
    }
    return sum;
}

// `steps`: of the loops around, by number.
llvm::Value* address_of(Builder& b, const BufferRef& buffer, const EntryArguments& arguments,
                        llvm::Value* batch, const std::vector<llvm::Value*>& steps) {
    llvm::Value* base = nullptr;
    const auto from_array = [&](llvm::Value* array) -> llvm::Value* {
        return b.CreateLoad(b.getPtrTy(), b.CreateConstGEP1_64(b.getPtrTy(), array, buffer.number));
    };
    switch (buffer.region) {
        case RegionKind::weights: base = arguments.weights; break;
        case RegionKind::prepared: base = arguments.prepared; break;
        case RegionKind::optimizer: base = arguments.optimizer; break;
        case RegionKind::workspace: base = arguments.workspace; break;
        case RegionKind::hyper: base = arguments.hyper; break;
        case RegionKind::input: base = from_array(arguments.inputs); break;
        case RegionKind::output: base = from_array(arguments.outputs); break;
    }
    llvm::Value* offset = bytes_at(b, buffer.offset, batch);
    for (const Stride& stride : buffer.strides) {
        llvm::Value* count =
            b.CreateAdd(steps[stride.loop], b.getInt64(static_cast<std::uint64_t>(stride.first)));
        if (stride.modulo != 0) {
            count = b.CreateURem(count, b.getInt64(static_cast<std::uint64_t>(stride.modulo)));
        }
        offset = b.CreateAdd(offset, b.CreateMul(count, bytes_at(b, stride.bytes, batch)));
    }
    return b.CreatePtrAdd(base, offset);
}

llvm::FunctionType* kernel_type(Builder& b, const Kernel& kernel) {
    llvm::SmallVector<llvm::Type*, 8> types(kernel.params.size(), b.getPtrTy());
    types.insert(types.end(), {b.getInt64Ty(), b.getInt64Ty(), b.getInt64Ty(), b.getPtrTy()});
    return llvm::FunctionType::get(b.getVoidTy(), types, false);
}

// MXCSR while an entry runs, whatever its caller has: to the nearest, no exception traps, subnormals are zero on the way in
// and out.
constexpr std::uint32_t kControl = 0x9fc0;

// void NAME_array(ptr to the params, i64 B, i64 begin, i64 end, ptr fault): for callers in C++.
void emit_array_call(llvm::Function& kernel, const ProgramCode& code, std::uint32_t number,
                     llvm::Module& module) {
    kernel.setLinkage(llvm::Function::ExternalLinkage);
    Builder b(module.getContext());
    auto* type = llvm::FunctionType::get(
        b.getVoidTy(), {b.getPtrTy(), b.getInt64Ty(), b.getInt64Ty(), b.getInt64Ty(), b.getPtrTy()},
        false);
    auto* function = llvm::Function::Create(type, llvm::Function::ExternalLinkage,
                                            kernel.getName() + "_array", module);
    function->setSection(kJitSection);
    function->addFnAttr(llvm::Attribute::NoUnwind);  // else it has an entry in .eh_frame
    b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", function));
    std::vector<llvm::Value*> values;
    for (std::size_t i = 0; i < code.kernels[number].params.size(); ++i) {
        values.push_back(
            b.CreateLoad(b.getPtrTy(), b.CreateConstGEP1_64(b.getPtrTy(), function->getArg(0), i)));
    }
    for (unsigned i = 1; i < 5; ++i) values.push_back(function->getArg(i));
    b.CreateCall(&kernel, values);
    b.CreateRetVoid();
}

void finish_function(llvm::Function* function, const Machine& machine) {
    function->addFnAttr(llvm::Attribute::NoUnwind);
    function->addFnAttr("prefer-vector-width", std::to_string(machine.vector_bits));
}

// Functions without a formula for their type, and half-width arithmetic: said so, not left to LLVM.
Status supported(const Kernel& kernel) {
    for (std::size_t i = 0; i < kernel.scalars.size(); ++i) {
        const Scalar& scalar = kernel.scalars[static_cast<ScalarId>(i)];
        // Half-width numbers can be stored and cast, not calculated with.
        const bool half = (scalar.type == DType::f16 || scalar.type == DType::bf16) &&
                          scalar.op >= ScalarOp::neg && scalar.op <= ScalarOp::fma;
        if (!half && !is_function(scalar.op)) continue;
        return Error{kExitProgram, fmt::format("`{}` of {} waits for a later version",
                                               name_of(scalar.op), name_of(scalar.type))};
    }
    return {};
}

// Whether a call can raise the fault flag.
bool takes_indices(const ProgramCode& code, const Call& call) {
    const Kernel& kernel = code.kernels[call.kernel];
    const auto is_scatter = [](const Store& store) { return store.indirect >= 0; };
    return std::ranges::any_of(kernel.reads, [](const Read& read) { return read.indirect >= 0; }) ||
           std::ranges::any_of(kernel.stages, [&](const Stage& stage) {
               return std::ranges::any_of(stage.stores, is_scatter);
           });
}

// Whether a call writes what is there after the entry: anything but scratch memory.
bool writes_for_caller(const ProgramCode& code, const Call& call) {
    const Kernel& kernel = code.kernels[call.kernel];
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
        if (kernel.params[i].direction != Direction::in &&
            call.arguments[i].region != RegionKind::workspace)
            return true;
    }
    return false;
}

// The calls of an entry and the loops about them, for any batch or for a fixed one.
struct EntryCalls {
    const ProgramCode& code;
    const Entry& entry;
    llvm::Module& module;
    Builder& b;
    const EntryArguments& arguments;
    llvm::Value* batch;
    std::optional<std::int64_t> fixed;
    llvm::Value* fault;
    llvm::BasicBlock* end;  // of the function
    std::vector<llvm::Value*> steps;
    bool may_have_failed = false;  // a call before this one, also of the step before

    // The order of run_calls.
    Status emit(std::size_t begin, std::size_t end, std::size_t loop) {
        for (std::size_t c = begin; c < end;) {
            while (loop < entry.loops.size() && entry.loops[loop].begin < c) ++loop;
            const bool enters = loop < entry.loops.size() && entry.loops[loop].begin == c;
            if (Status status = enters ? emit_loop(loop) : emit_call(entry.calls[c]); !status) {
                return status;
            }
            c = enters ? entry.loops[loop].end : c + 1;
        }
        return {};
    }

    Status emit_loop(std::size_t number) {
        const Loop& loop = entry.loops[number];
        llvm::BasicBlock* before = b.GetInsertBlock();
        auto* body = llvm::BasicBlock::Create(b.getContext(), "steps", before->getParent());
        auto* after = llvm::BasicBlock::Create(b.getContext(), "after", before->getParent());
        b.CreateBr(body);
        b.SetInsertPoint(body);
        llvm::PHINode* step = b.CreatePHI(b.getInt64Ty(), 2);
        step->addIncoming(b.getInt64(0), before);
        steps.resize(entry.loops.size());
        steps[number] = step;
        for (std::size_t c = loop.begin; c < loop.end; ++c)
            may_have_failed = may_have_failed || takes_indices(code, entry.calls[c]);
        if (Status status = emit(loop.begin, loop.end, number + 1); !status) return status;
        llvm::Value* next = b.CreateAdd(step, b.getInt64(1));
        step->addIncoming(next, b.GetInsertBlock());
        b.CreateCondBr(b.CreateICmpULT(next, b.getInt64(static_cast<std::uint64_t>(loop.steps))),
                       body, after);
        b.SetInsertPoint(after);
        return {};
    }

    // A bad index that no check found beforehand, since the model computes it: nothing of the caller's is written
    // from now on.
    void leave_if_failed() {
        auto* on =
            llvm::BasicBlock::Create(b.getContext(), "go_on", b.GetInsertBlock()->getParent());
        llvm::Value* failed = b.CreateICmpNE(b.CreateLoad(b.getInt32Ty(), fault), b.getInt32(0));
        b.CreateCondBr(failed, end, on);
        b.SetInsertPoint(on);
        may_have_failed = false;
    }

    Status emit_call(const Call& call) {
        if (may_have_failed && writes_for_caller(code, call)) leave_if_failed();
        may_have_failed = may_have_failed || takes_indices(code, call);
        const std::string symbol =
            kernel_symbol(code, call.kernel) + (fixed ? fmt::format("_b{}", *fixed) : "");
        llvm::Function* kernel = module.getFunction(symbol);
        if (kernel == nullptr && fixed) {
            auto made = emit_kernel(code, call.kernel, module, false, fixed);
            if (!made) return made.error();
            kernel = *made;
            kernel->addFnAttr(llvm::Attribute::AlwaysInline);
        }
        if (kernel == nullptr) {
            kernel = llvm::Function::Create(kernel_type(b, code.kernels[call.kernel]),
                                            llvm::Function::ExternalLinkage, symbol, module);
        }
        std::vector<llvm::Value*> values;
        for (const BufferRef& buffer : call.arguments) {
            values.push_back(address_of(b, buffer, arguments, batch, steps));
        }
        values.insert(values.end(), {batch, b.getInt64(0), b.getInt64(kUnbounded), fault});
        b.CreateCall(kernel, values);
        return {};
    }
};

}  // namespace

ProgramCode plan_code(const Program& program, const Machine& machine) {
    ProgramCode code;
    code.program = &program;
    code.machine = machine;
    for (const Kernel& kernel : program.kernels) {
        code.kernels.push_back(kernel);
        expand_functions(code.kernels.back());
        code.schedules.push_back(schedule(code.kernels.back(), machine, program.batch_hint));
        code.keys.push_back(
            code_key({to_text(kernel), to_text(code.kernels.back(), code.schedules.back()),
                      machine.triple, machine.cpu, machine.features}));
    }
    return code;
}

bool is_small(const ProgramCode& code, const Entry& entry) {
    double work = 0;
    for (std::size_t c = 0; c < entry.calls.size(); ++c) {
        work += static_cast<double>(times_called(entry, c)) *
                work_of(code.kernels[entry.calls[c].kernel], code.program->batch_hint);
    }
    return work < kSmallWork && entry.calls.size() <= 64;
}

std::string kernel_symbol(const std::string& key) { return "netc_kernel_" + key.substr(0, 24); }

std::string kernel_symbol(const ProgramCode& code, std::uint32_t kernel) {
    return kernel_symbol(code.keys[kernel]);
}

std::string entry_symbol(std::string_view entry) { return "netc_entry_" + std::string(entry); }

std::unique_ptr<llvm::Module> make_module(llvm::LLVMContext& context,
                                          const llvm::TargetMachine& target,
                                          const std::string& name) {
    auto module = std::make_unique<llvm::Module>(name, context);
    module->setTargetTriple(target.getTargetTriple().str());
    module->setDataLayout(target.createDataLayout());
    module->setPICLevel(llvm::PICLevel::BigPIC);
    return module;
}

Result<llvm::Function*> emit_kernel(const ProgramCode& code, std::uint32_t kernel,
                                    llvm::Module& module, bool exported,
                                    std::optional<std::int64_t> batch) {
    if (Status status = supported(code.kernels[kernel]); !status) return status.error();
    const std::string name =
        kernel_symbol(code, kernel) + (batch ? fmt::format("_b{}", *batch) : "");
    KernelEmitter emitter(code.kernels[kernel], code.schedules[kernel], code.machine, module,
                          batch);
    Result<llvm::Function*> function = emitter.emit(name);
    if (function && exported) emit_array_call(**function, code, kernel, module);
    return function;
}

namespace {

EntryArguments arguments_of(llvm::Function& function) {
    const auto at = [&](unsigned i) { return function.getArg(i); };
    return {at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)};
}

// All calls of a small entry in one function, for exactly the batch hint: a call would take as long as what it does.
// A function of its own, so that nothing is moved across the change of how subnormals are treated.
Result<llvm::Function*> emit_fixed(const ProgramCode& code, const Entry& entry,
                                   llvm::Module& module) {
    llvm::LLVMContext& context = module.getContext();
    Builder b(context);
    llvm::SmallVector<llvm::Type*, 9> types(7, b.getPtrTy());
    types.append({b.getInt64Ty(), b.getPtrTy()});
    const std::int64_t batch = code.program->batch_hint;
    auto* function = llvm::Function::Create(
        llvm::FunctionType::get(b.getVoidTy(), types, false), llvm::Function::InternalLinkage,
        fmt::format("{}_b{}", entry_symbol(entry.name), batch), module);
    finish_function(function, code.machine);
    function->addFnAttr(llvm::Attribute::NoInline);
    function->addFnAttr("min-legal-vector-width", std::to_string(code.machine.vector_bits));
    function->addFnAttr("denormal-fp-math-f32", "preserve-sign,preserve-sign");
    b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
    llvm::Value* hint = b.getInt64(static_cast<std::uint64_t>(batch));
    auto* end = llvm::BasicBlock::Create(context, "end", function);
    const EntryArguments arguments = arguments_of(*function);
    const Status status =
        EntryCalls{code, entry, module, b, arguments, hint, batch, function->getArg(8), end, {}}
            .emit(0, entry.calls.size(), 0);
    if (!status) return status.error();
    b.CreateBr(end);
    b.SetInsertPoint(end);
    b.CreateRetVoid();
    return function;
}

}  // namespace

llvm::Function* declare_entry(std::string_view entry, llvm::Module& module) {
    Builder b(module.getContext());
    llvm::SmallVector<llvm::Type*, 8> types(7, b.getPtrTy());
    types.push_back(b.getInt64Ty());
    return llvm::Function::Create(llvm::FunctionType::get(b.getInt32Ty(), types, false),
                                  llvm::Function::ExternalLinkage, entry_symbol(entry), module);
}

Result<llvm::Function*> emit_entry(const ProgramCode& code, const Entry& entry,
                                   llvm::Module& module, bool exported) {
    llvm::LLVMContext& context = module.getContext();
    Builder b(context);
    llvm::Function* function = declare_entry(entry.name, module);
    if (!exported) function->setLinkage(llvm::Function::InternalLinkage);
    finish_function(function, code.machine);
    const EntryArguments arguments = arguments_of(*function);
    auto* start = llvm::BasicBlock::Create(context, "entry", function);
    auto* end = llvm::BasicBlock::Create(context, "end", function);
    b.SetInsertPoint(start);
    llvm::AllocaInst* fault = b.CreateAlloca(b.getInt32Ty());
    b.CreateStore(b.getInt32(0), fault);
    llvm::AllocaInst* control = nullptr;
    if (code.machine.x86) {
        control = b.CreateAlloca(b.getInt32Ty());
        llvm::AllocaInst* own = b.CreateAlloca(b.getInt32Ty());
        b.CreateIntrinsic(llvm::Intrinsic::x86_sse_stmxcsr, {}, {control});
        b.CreateStore(b.getInt32(kControl), own);
        b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {own});
    }
    if (is_small(code, entry)) {
        const Result<llvm::Function*> fixed = emit_fixed(code, entry, module);
        if (!fixed) return fixed.error();
        auto* exact = llvm::BasicBlock::Create(context, "fixed", function);
        auto* general = llvm::BasicBlock::Create(context, "general", function);
        llvm::Value* hint = b.getInt64(static_cast<std::uint64_t>(code.program->batch_hint));
        b.CreateCondBr(b.CreateICmpEQ(arguments.batch, hint), exact, general);
        b.SetInsertPoint(exact);
        std::vector<llvm::Value*> values;
        for (llvm::Argument& argument : function->args()) values.push_back(&argument);
        values.push_back(fault);
        b.CreateCall(*fixed, values);
        b.CreateBr(end);
        b.SetInsertPoint(general);
    }
    const Status status =
        EntryCalls{code, entry, module, b, arguments, arguments.batch, std::nullopt, fault, end, {}}
            .emit(0, entry.calls.size(), 0);
    if (!status) return status.error();
    b.CreateBr(end);
    b.SetInsertPoint(end);
    if (control != nullptr) b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {control});
    b.CreateRet(b.CreateLoad(b.getInt32Ty(), fault));
    return function;
}

Result<std::unique_ptr<llvm::Module>> emit_program(llvm::LLVMContext& context,
                                                   const llvm::TargetMachine& target,
                                                   const ProgramCode& code,
                                                   const std::vector<std::string>& entries) {
    auto module = make_module(context, target, code.program->name);
    for (const std::string& name : entries) {
        const Entry* entry = code.program->find(name);
        if (entry == nullptr) return Error{kExitInternal, "the program has no entry " + name};
        for (const Call& call : entry->calls) {
            if (module->getFunction(kernel_symbol(code, call.kernel)) != nullptr) continue;
            if (auto made = emit_kernel(code, call.kernel, *module, false); !made)
                return made.error();
        }
        if (auto made = emit_entry(code, *entry, *module, false); !made) return made.error();
    }
    return module;
}

}  // namespace netc
