#include "backends/cpu/object_functions.h"

#include <algorithm>

#include "backends/c_header.h"
#include "backends/cpu/object_finite.h"
#include "backends/cpu/object_function_emitter.h"
#include "backends/cpu/object_tables.h"
#include "ir/slots.h"

namespace netc {

void ObjectFunctions::add_all() {
    size_function("_forward_workspace", program_.find("forward")->workspace);
    init();
    prepare();
    forward();
    add_strerror(module_, options_.prefix);
    if (has_finite_checks(*program_.find("forward"))) {
        add_not_finite(module_, program_, options_.prefix);
    }
    add_tensors(module_, program_, options_.prefix);
    begin("_optimizer_size", b_.getInt64Ty(), {});
    b_.CreateRet(number(options_.train ? program_.optimizer_size : 0));
    if (!options_.train) return;
    size_function("_train_workspace", train_workspace(program_));
    train_step();
    gradient();
}

void ObjectFunctions::begin(const char* name, llvm::Type* result, std::vector<llvm::Type*> types) {
    function_ =
        llvm::Function::Create(llvm::FunctionType::get(result, types, false),
                               llvm::Function::ExternalLinkage, options_.prefix + name, module_);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    b_.SetInsertPoint(block("entry"));
}
llvm::BasicBlock* ObjectFunctions::block(const char* name) {
    return llvm::BasicBlock::Create(module_.getContext(), name, function_);
}

void ObjectFunctions::write_header(llvm::Value* region, RegionKind kind, std::int64_t size) {
    b_.CreateStore(b_.getInt64(hash_of(kind)), region);
    b_.CreateStore(number(size), b_.CreateConstGEP1_64(b_.getInt8Ty(), region, 8));
}

llvm::Value* ObjectFunctions::pointer_array(const std::vector<llvm::Value*>& pointers) {
    llvm::Value* array = b_.CreateAlloca(
        b_.getPtrTy(),
        b_.getInt32(static_cast<std::uint32_t>(std::max<std::size_t>(pointers.size(), 1))));
    for (std::size_t i = 0; i < pointers.size(); ++i) {
        b_.CreateStore(pointers[i], b_.CreateConstGEP1_64(b_.getPtrTy(), array, i));
    }
    return array;
}

// Calls an entry and returns its fault flag as a status.
void ObjectFunctions::call_and_return(const char* entry, const Regions& r,
                                      const std::vector<llvm::Value*>& inputs,
                                      const std::vector<llvm::Value*>& outputs,
                                      llvm::Value* batch) {
    auto or_null = [&](llvm::Value* v) { return v != nullptr ? v : null(); };
    llvm::Value* fault = b_.CreateCall(
        module_.getFunction(entry_symbol(entry)),
        {or_null(r.weights), or_null(r.prepared), or_null(r.optimizer), or_null(r.workspace),
         or_null(r.hyper), pointer_array(inputs), pointer_array(outputs), batch});
    llvm::Value* result = b_.CreateSelect(b_.CreateICmpNE(fault, b_.getInt32(0)),
                                          status(ObjectStatus::index), status(ObjectStatus::ok));
    const Entry& called = *program_.find(entry);
    if (has_finite_checks(called)) {
        result = status_of_checks(b_, function_, program_, called, r.workspace, result);
    }
    b_.CreateRet(result);
}

llvm::Value* ObjectFunctions::hyper_block() {
    llvm::AllocaInst* hyper = b_.CreateAlloca(b_.getInt8Ty(), b_.getInt32(kAlignment));
    hyper->setAlignment(llvm::Align(kAlignment));
    return hyper;
}
llvm::Value* ObjectFunctions::hyper_field(llvm::Value* hyper, std::int64_t offset) {
    return b_.CreateConstGEP1_64(b_.getInt8Ty(), hyper, static_cast<std::uint64_t>(offset));
}
void ObjectFunctions::set_hyper(llvm::Value* hyper, std::int64_t offset, llvm::Value* value) {
    b_.CreateStore(value, hyper_field(hyper, offset));
}
// From the caller's struct { float; uint64_t; uint64_t }, or what a null pointer means.
llvm::Value* ObjectFunctions::hyper_from(llvm::Value* given) {
    llvm::Value* hyper = hyper_block();
    set_hyper(hyper, kHyperSeed, b_.getInt64(options_.seed));
    set_hyper(hyper, kHyperStepsPerEpoch, number(0));
    set_hyper(hyper, kHyperRate, llvm::ConstantFP::getNaN(b_.getFloatTy()));
    llvm::BasicBlock* take = block("take_hyper");
    llvm::BasicBlock* done = block("hyper_done");
    b_.CreateCondBr(b_.CreateICmpEQ(given, null()), done, take);
    b_.SetInsertPoint(take);
    auto field = [&](llvm::Type* type, std::uint64_t offset) {
        return b_.CreateLoad(type, b_.CreateConstGEP1_64(b_.getInt8Ty(), given, offset));
    };
    set_hyper(hyper, kHyperRate, field(b_.getFloatTy(), 0));
    set_hyper(hyper, kHyperSeed, field(b_.getInt64Ty(), 8));
    set_hyper(hyper, kHyperStepsPerEpoch, field(b_.getInt64Ty(), 16));
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
    return hyper;
}

std::vector<llvm::Value*> ObjectFunctions::arguments(unsigned first, std::size_t count) {
    std::vector<llvm::Value*> values;
    for (unsigned i = 0; i < count; ++i) values.push_back(function_->getArg(first + i));
    return values;
}

void ObjectFunctions::size_function(const char* name, const Bytes& bytes) {
    begin(name, b_.getInt64Ty(), {b_.getInt64Ty()});
    llvm::Value* batch = function_->getArg(0);
    llvm::Value* blocks = b_.CreateLShr(b_.CreateAdd(batch, number(15)), 4);
    llvm::Value* sum =
        b_.CreateAdd(number(bytes.constant), b_.CreateMul(blocks, number(bytes.per_16)));
    b_.CreateRet(b_.CreateAdd(sum, b_.CreateMul(batch, number(bytes.per_sample))));
}

void ObjectFunctions::init() {
    std::vector<llvm::Type*> types = pointers(2);
    types.push_back(b_.getInt64Ty());
    begin("_init", b_.getInt32Ty(), types);
    llvm::Value* weights = function_->getArg(0);
    llvm::Value* seed = function_->getArg(2);
    if (!needed_features().empty()) refuse_if(cpu_is_missing(), ObjectStatus::cpu);
    refuse_if(is_misaligned(weights), ObjectStatus::align);
    if (options_.train) {
        llvm::Value* optimizer = function_->getArg(1);
        refuse_if(is_misaligned(optimizer), ObjectStatus::align);
        llvm::BasicBlock* fill = block("optimizer");
        llvm::BasicBlock* done = block("weights");
        b_.CreateCondBr(b_.CreateICmpEQ(optimizer, null()), done, fill);
        b_.SetInsertPoint(fill);
        b_.CreateMemSet(optimizer, b_.getInt8(0),
                        static_cast<std::uint64_t>(program_.optimizer_size),
                        llvm::Align(kAlignment));
        write_header(optimizer, RegionKind::optimizer, program_.optimizer_size);
        if (const VariablePlace* slot = steps_per_epoch_slot(program_))
            set_hyper(optimizer, slot->offset, number(options_.steps_per_epoch));
        b_.CreateBr(done);
        b_.SetInsertPoint(done);
    }
    refuse_if(b_.CreateICmpEQ(weights, null()), ObjectStatus::ok);
    b_.CreateMemSet(weights, b_.getInt8(0), static_cast<std::uint64_t>(program_.weights_size),
                    llvm::Align(kAlignment));
    write_header(weights, RegionKind::weights, program_.weights_size);
    llvm::Value* hyper = hyper_block();
    set_hyper(hyper, kHyperSeed, seed);
    set_hyper(hyper, kHyperStepsPerEpoch, number(0));
    set_hyper(hyper, kHyperRate, llvm::ConstantFP::getNaN(b_.getFloatTy()));
    call_and_return("init", {.weights = weights, .workspace = scratch("init"), .hyper = hyper}, {},
                    {}, number(1));
}

// Entries without a workspace argument take what they need from the stack, `prepare` what is too much for it from
// the end of the region that it fills.
llvm::Value* ObjectFunctions::scratch(const char* entry, llvm::Value* region) {
    const std::int64_t size = program_.find(entry)->workspace.at(1);
    if (size == 0) return nullptr;
    if (region != nullptr && size > kStackScratch)
        return b_.CreateConstGEP1_64(
            b_.getInt8Ty(), region,
            static_cast<std::uint64_t>(program_.prepared_size - round_up(size)));
    llvm::AllocaInst* memory = b_.CreateAlloca(b_.getInt8Ty(), number(size + kAlignment));
    memory->setAlignment(llvm::Align(kAlignment));
    return memory;
}

void ObjectFunctions::prepare() {
    begin("_prepare", b_.getInt32Ty(), pointers(2));
    llvm::Value* weights = function_->getArg(0);
    llvm::Value* prepared = function_->getArg(1);
    if (!needed_features().empty()) refuse_if(cpu_is_missing(), ObjectStatus::cpu);
    check_region(weights);
    check_region(prepared);
    check_hash(weights, RegionKind::weights);
    write_header(prepared, RegionKind::prepared, program_.prepared_size);
    call_and_return(
        "prepare",
        {.weights = weights, .prepared = prepared, .workspace = scratch("prepare", prepared)}, {},
        {}, number(1));
}

void ObjectFunctions::forward() {
    const Entry& entry = *program_.find("forward");
    const std::size_t inputs = entry.inputs.size(), outputs = entry.outputs.size();
    std::vector<llvm::Type*> types = pointers(1 + inputs + outputs);
    types.insert(types.end(), {b_.getInt64Ty(), b_.getPtrTy()});
    begin("_forward", b_.getInt32Ty(), types);
    llvm::Value* prepared = function_->getArg(0);
    llvm::Value* batch = function_->getArg(static_cast<unsigned>(1 + inputs + outputs));
    llvm::Value* workspace = function_->getArg(static_cast<unsigned>(2 + inputs + outputs));
    check_region(prepared);
    check_workspace(workspace, entry.workspace);
    check_batch(batch);
    check_extents(entry, batch);
    check_hash(prepared, RegionKind::prepared);
    const auto ins = arguments(1, inputs);
    check_indices(entry, ins, batch);
    call_and_return("forward", {.prepared = prepared, .workspace = workspace}, ins,
                    arguments(static_cast<unsigned>(1 + inputs), outputs), batch);
}

// A caller that does not want the loss gives a null pointer.
llvm::Value* ObjectFunctions::loss_or_scratch(llvm::Value* loss) {
    llvm::Value* own = b_.CreateAlloca(b_.getDoubleTy());
    return b_.CreateSelect(b_.CreateICmpEQ(loss, null()), own, loss);
}

void ObjectFunctions::train_step() {
    const Entry& entry = *program_.find("train_step");
    const std::size_t inputs = entry.inputs.size();
    std::vector<llvm::Type*> types = pointers(2 + inputs);
    types.insert(types.end(), {b_.getInt64Ty(), b_.getPtrTy(), b_.getPtrTy(), b_.getPtrTy()});
    begin("_train_step", b_.getInt32Ty(), types);
    const auto at = [&](std::size_t i) { return function_->getArg(static_cast<unsigned>(i)); };
    llvm::Value *weights = at(0), *optimizer = at(1), *batch = at(2 + inputs),
                *workspace = at(4 + inputs);
    if (uses_tiles_) refuse_if(tiles_are_refused(), ObjectStatus::cpu);
    check_region(weights);
    check_region(optimizer);
    check_workspace(workspace, entry.workspace);
    check_batch(batch);
    check_extents(entry, batch);
    check_hash(weights, RegionKind::weights);
    check_hash(optimizer, RegionKind::optimizer);
    const auto ins = arguments(2, inputs);
    check_indices(entry, ins, batch);
    llvm::Value* hyper = hyper_from(at(3 + inputs));
    check_epoch(optimizer, hyper);
    call_and_return(
        "train_step",
        {.weights = weights, .optimizer = optimizer, .workspace = workspace, .hyper = hyper}, ins,
        {loss_or_scratch(at(5 + inputs))}, batch);
}

void ObjectFunctions::gradient() {
    const Entry& entry = *program_.find("gradient");
    const std::size_t inputs = entry.inputs.size();
    std::vector<llvm::Type*> types = pointers(1 + inputs);
    types.insert(types.end(),
                 {b_.getInt64Ty(), b_.getPtrTy(), b_.getPtrTy(), b_.getPtrTy(), b_.getPtrTy()});
    begin("_gradient", b_.getInt32Ty(), types);
    const auto at = [&](std::size_t i) { return function_->getArg(static_cast<unsigned>(i)); };
    llvm::Value *weights = at(0), *batch = at(1 + inputs), *workspace = at(3 + inputs),
                *gradients = at(5 + inputs);
    if (uses_tiles_) refuse_if(tiles_are_refused(), ObjectStatus::cpu);
    check_region(weights);
    check_region(gradients);
    check_workspace(workspace, entry.workspace);
    check_batch(batch);
    check_extents(entry, batch);
    check_hash(weights, RegionKind::weights);
    const auto ins = arguments(1, inputs);
    check_indices(entry, ins, batch);
    std::vector<llvm::Value*> outputs;
    for (const EntryArgument& output : entry.outputs) {
        if (output.name == "loss") {
            outputs.push_back(loss_or_scratch(at(4 + inputs)));
            continue;
        }
        const auto place = std::ranges::find_if(program_.weights, [&](const VariablePlace& p) {
            return "grad:" + p.name == output.name;
        });
        outputs.push_back(b_.CreateConstGEP1_64(b_.getInt8Ty(), gradients,
                                                static_cast<std::uint64_t>(place->offset)));
    }
    write_header(gradients, RegionKind::weights, program_.weights_size);
    llvm::Value* hyper = hyper_from(at(2 + inputs));
    call_and_return("gradient", {.weights = weights, .workspace = workspace, .hyper = hyper}, ins,
                    outputs, batch);
}

void add_object_functions(llvm::Module& module, const ProgramCode& code,
                          const ObjectOptions& options) {
    ObjectFunctions(module, code, options).add_all();
}

}  // namespace netc
