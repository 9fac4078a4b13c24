#include "backends/cpu/object_functions.h"

#include <algorithm>

#include "backends/c_header.h"
#include "backends/cpu/object_finite.h"
#include "backends/cpu/object_tables.h"

namespace netc {
namespace {

using Builder = llvm::IRBuilder<>;

// Adds one object's functions; members are what all of them share.
class ObjectFunctions {
public:
    ObjectFunctions(llvm::Module& module, const ProgramCode& code, const ObjectOptions& options)
        : module_(module), program_(*code.program), machine_(code.machine),
          uses_tiles_(code.uses_tiles()), options_(options), b_(module.getContext()) {}

    void add_all() {
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

private:
    llvm::Value* number(std::int64_t value) {
        return b_.getInt64(static_cast<std::uint64_t>(value));
    }
    llvm::Value* status(ObjectStatus s) { return b_.getInt32(static_cast<std::uint32_t>(s)); }
    llvm::Value* null() { return llvm::ConstantPointerNull::get(b_.getPtrTy()); }

    void begin(const char* name, llvm::Type* result, std::vector<llvm::Type*> types) {
        function_ = llvm::Function::Create(llvm::FunctionType::get(result, types, false),
                                           llvm::Function::ExternalLinkage, options_.prefix + name,
                                           module_);
        function_->addFnAttr(llvm::Attribute::NoUnwind);
        b_.SetInsertPoint(block("entry"));
    }
    llvm::BasicBlock* block(const char* name) {
        return llvm::BasicBlock::Create(module_.getContext(), name, function_);
    }

    // Leaves with `code` where the condition holds.
    void refuse_if(llvm::Value* condition, ObjectStatus code) {
        llvm::BasicBlock* bad = block("refuse");
        llvm::BasicBlock* good = block("go_on");
        b_.CreateCondBr(condition, bad, good);
        b_.SetInsertPoint(bad);
        b_.CreateRet(status(code));
        b_.SetInsertPoint(good);
    }

    llvm::Value* is_misaligned(llvm::Value* region) {
        llvm::Value* bits = b_.CreatePtrToInt(region, b_.getInt64Ty());
        return b_.CreateICmpNE(b_.CreateAnd(bits, number(kAlignment - 1)), number(0));
    }
    void check_region(llvm::Value* region) {
        refuse_if(b_.CreateOr(b_.CreateICmpEQ(region, null()), is_misaligned(region)),
                  ObjectStatus::align);
    }
    // A workspace of no bytes may be null.
    void check_workspace(llvm::Value* region, const Bytes& size) {
        const bool needed = size.constant + size.per_16 + size.per_sample > 0;
        if (needed) check_region(region);
    }
    void check_hash(llvm::Value* region) {
        llvm::Value* hash = b_.CreateLoad(b_.getInt64Ty(), region);
        refuse_if(b_.CreateICmpNE(hash, b_.getInt64(program_.model_hash)), ObjectStatus::weights);
    }
    void check_batch(llvm::Value* batch) {
        refuse_if(b_.CreateICmpEQ(batch, number(0)), ObjectStatus::batch);
    }
    void check_extents(const Entry& entry, llvm::Value* batch) {
        const auto at = [&](const Extent& extent) {
            return b_.CreateAdd(b_.CreateMul(batch, number(extent.per_batch)),
                                number(extent.constant));
        };
        for (const Entry::EqualExtents& each : entry.equal_extents) {
            refuse_if(b_.CreateICmpNE(at(each.found), at(each.wanted)), ObjectStatus::batch);
        }
    }
    void write_header(llvm::Value* region, std::int64_t size) {
        b_.CreateStore(b_.getInt64(program_.model_hash), region);
        b_.CreateStore(number(size), b_.CreateConstGEP1_64(b_.getInt8Ty(), region, 8));
    }

    // Labels and other index inputs, before anything is written.
    void check_indices(const Entry& entry, const std::vector<llvm::Value*>& inputs,
                       llvm::Value* batch) {
        for (const Entry::IndexRange& range : entry.index_ranges) {
            const EntryArgument& input = entry.inputs[range.input];
            llvm::Value* count = number(1);
            for (const Extent& dim : input.dims) {
                count = b_.CreateMul(count, b_.CreateAdd(b_.CreateMul(batch, number(dim.per_batch)),
                                                         number(dim.constant)));
            }
            llvm::Type* type = b_.getIntNTy(static_cast<unsigned>(8 * size_of(input.dtype)));
            llvm::BasicBlock* before = b_.GetInsertBlock();
            llvm::BasicBlock* loop = block("check");
            llvm::BasicBlock* bad = block("bad_index");
            llvm::BasicBlock* next = block("next");
            llvm::BasicBlock* done = block("checked");
            b_.CreateCondBr(b_.CreateICmpEQ(count, number(0)), done, loop);
            b_.SetInsertPoint(loop);
            llvm::PHINode* i = b_.CreatePHI(b_.getInt64Ty(), 2);
            i->addIncoming(number(0), before);
            llvm::Value* element =
                b_.CreateAlignedLoad(type, b_.CreateGEP(type, inputs[range.input], i),
                                     llvm::Align(static_cast<std::uint64_t>(size_of(input.dtype))));
            llvm::Value* wide = input.dtype == DType::u8
                                    ? b_.CreateZExtOrTrunc(element, b_.getInt64Ty())
                                    : b_.CreateSExtOrTrunc(element, b_.getInt64Ty());
            llvm::Value* outside =
                b_.CreateICmpUGE(wide, number(range.limit));  // negative is large
            if (range.ignored != 0)
                outside = b_.CreateAnd(outside, b_.CreateICmpNE(wide, number(range.ignored)));
            b_.CreateCondBr(outside, bad, next);
            b_.SetInsertPoint(bad);
            b_.CreateRet(status(ObjectStatus::index));
            b_.SetInsertPoint(next);
            llvm::Value* following = b_.CreateAdd(i, number(1));
            i->addIncoming(following, next);
            b_.CreateCondBr(b_.CreateICmpULT(following, count), loop, done);
            b_.SetInsertPoint(done);
        }
    }

    llvm::Value* pointer_array(const std::vector<llvm::Value*>& pointers) {
        llvm::Value* array = b_.CreateAlloca(
            b_.getPtrTy(),
            b_.getInt32(static_cast<std::uint32_t>(std::max<std::size_t>(pointers.size(), 1))));
        for (std::size_t i = 0; i < pointers.size(); ++i) {
            b_.CreateStore(pointers[i], b_.CreateConstGEP1_64(b_.getPtrTy(), array, i));
        }
        return array;
    }

    struct Regions {
        llvm::Value *weights = nullptr, *prepared = nullptr, *optimizer = nullptr,
                    *workspace = nullptr, *hyper = nullptr;
    };
    // Calls an entry and returns its fault flag as a status.
    void call_and_return(const char* entry, const Regions& r,
                         const std::vector<llvm::Value*>& inputs,
                         const std::vector<llvm::Value*>& outputs, llvm::Value* batch) {
        auto or_null = [&](llvm::Value* v) { return v != nullptr ? v : null(); };
        llvm::Value* fault = b_.CreateCall(
            module_.getFunction(entry_symbol(entry)),
            {or_null(r.weights), or_null(r.prepared), or_null(r.optimizer), or_null(r.workspace),
             or_null(r.hyper), pointer_array(inputs), pointer_array(outputs), batch});
        llvm::Value* result =
            b_.CreateSelect(b_.CreateICmpNE(fault, b_.getInt32(0)), status(ObjectStatus::index),
                            status(ObjectStatus::ok));
        const Entry& called = *program_.find(entry);
        if (has_finite_checks(called)) {
            result = status_of_checks(b_, function_, program_, called, r.workspace, result);
        }
        b_.CreateRet(result);
    }

    llvm::Value* hyper_block() {
        llvm::AllocaInst* hyper = b_.CreateAlloca(b_.getInt8Ty(), b_.getInt32(kAlignment));
        hyper->setAlignment(llvm::Align(kAlignment));
        return hyper;
    }
    void set_hyper(llvm::Value* hyper, std::int64_t offset, llvm::Value* value) {
        b_.CreateStore(value, b_.CreateConstGEP1_64(b_.getInt8Ty(), hyper,
                                                    static_cast<std::uint64_t>(offset)));
    }
    // From the caller's struct { float; uint64_t; uint64_t }, or what a null pointer means.
    llvm::Value* hyper_from(llvm::Value* given) {
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

    std::vector<llvm::Value*> arguments(unsigned first, std::size_t count) {
        std::vector<llvm::Value*> values;
        for (unsigned i = 0; i < count; ++i) values.push_back(function_->getArg(first + i));
        return values;
    }
    std::vector<llvm::Type*> pointers(std::size_t count) { return {count, b_.getPtrTy()}; }

    void size_function(const char* name, const Bytes& bytes) {
        begin(name, b_.getInt64Ty(), {b_.getInt64Ty()});
        llvm::Value* batch = function_->getArg(0);
        llvm::Value* blocks = b_.CreateLShr(b_.CreateAdd(batch, number(15)), 4);
        llvm::Value* sum =
            b_.CreateAdd(number(bytes.constant), b_.CreateMul(blocks, number(bytes.per_16)));
        b_.CreateRet(b_.CreateAdd(sum, b_.CreateMul(batch, number(bytes.per_sample))));
    }

    void init() {
        std::vector<llvm::Type*> types = pointers(2);
        types.push_back(b_.getInt64Ty());
        begin("_init", b_.getInt32Ty(), types);
        llvm::Value* weights = function_->getArg(0);
        llvm::Value* seed = function_->getArg(2);
        if (!missing_features().empty()) refuse_if(cpu_is_missing(), ObjectStatus::cpu);
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
            write_header(optimizer, program_.optimizer_size);
            b_.CreateBr(done);
            b_.SetInsertPoint(done);
        }
        refuse_if(b_.CreateICmpEQ(weights, null()), ObjectStatus::ok);
        b_.CreateMemSet(weights, b_.getInt8(0), static_cast<std::uint64_t>(program_.weights_size),
                        llvm::Align(kAlignment));
        write_header(weights, program_.weights_size);
        llvm::Value* hyper = hyper_block();
        set_hyper(hyper, kHyperSeed, seed);
        set_hyper(hyper, kHyperStepsPerEpoch, number(0));
        set_hyper(hyper, kHyperRate, llvm::ConstantFP::getNaN(b_.getFloatTy()));
        call_and_return("init", {.weights = weights, .workspace = scratch("init"), .hyper = hyper},
                        {}, {}, number(1));
    }

    // Entries without a workspace argument take what they need from the stack, `prepare` what is too much for it from
    // the end of the region that it fills.
    llvm::Value* scratch(const char* entry, llvm::Value* region = nullptr) {
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

    void prepare() {
        begin("_prepare", b_.getInt32Ty(), pointers(2));
        llvm::Value* weights = function_->getArg(0);
        llvm::Value* prepared = function_->getArg(1);
        if (!missing_features().empty()) refuse_if(cpu_is_missing(), ObjectStatus::cpu);
        check_region(weights);
        check_region(prepared);
        check_hash(weights);
        write_header(prepared, program_.prepared_size);
        call_and_return(
            "prepare",
            {.weights = weights, .prepared = prepared, .workspace = scratch("prepare", prepared)},
            {}, {}, number(1));
    }

    void forward() {
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
        check_hash(prepared);
        const auto ins = arguments(1, inputs);
        check_indices(entry, ins, batch);
        call_and_return("forward", {.prepared = prepared, .workspace = workspace}, ins,
                        arguments(static_cast<unsigned>(1 + inputs), outputs), batch);
    }

    // A caller that does not want the loss gives a null pointer.
    llvm::Value* loss_or_scratch(llvm::Value* loss) {
        llvm::Value* own = b_.CreateAlloca(b_.getDoubleTy());
        return b_.CreateSelect(b_.CreateICmpEQ(loss, null()), own, loss);
    }

    void train_step() {
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
        check_hash(weights);
        check_hash(optimizer);
        const auto ins = arguments(2, inputs);
        check_indices(entry, ins, batch);
        llvm::Value* hyper = hyper_from(at(3 + inputs));
        call_and_return(
            "train_step",
            {.weights = weights, .optimizer = optimizer, .workspace = workspace, .hyper = hyper},
            ins, {loss_or_scratch(at(5 + inputs))}, batch);
    }

    void gradient() {
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
        check_hash(weights);
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
        write_header(gradients, program_.weights_size);
        llvm::Value* hyper = hyper_from(at(2 + inputs));
        call_and_return("gradient", {.weights = weights, .workspace = workspace, .hyper = hyper},
                        ins, outputs, batch);
    }

    // Feature bits of CPUID that the code uses: leaf, its second number, register (0 eax .. 3 edx), bit.
    struct Feature {
        std::uint32_t leaf, subleaf, position, bit;
        auto page() const { return std::pair(leaf, subleaf); }
    };
    std::vector<Feature> missing_features() const {
        if (!machine_.x86) return {};
        std::vector<Feature> features{
            {1, 0, 2, 12}, {1, 0, 2, 27}, {1, 0, 2, 28}};  // FMA, OSXSAVE, AVX
        if (machine_.avx2) features.push_back({7, 0, 1, 5});
        if (machine_.avx512) {
            for (std::uint32_t bit : {16u, 17u, 28u, 30u, 31u})
                features.push_back({7, 0, 1, bit});  // F DQ CD BW VL
        }
        if (machine_.vnni) features.push_back({7, 0, 2, 11});
        if (machine_.bf16) features.push_back({7, 1, 0, 5});
        if (uses_tiles_ && machine_.amx_bf16) features.push_back({7, 0, 3, 22});
        if (uses_tiles_ && machine_.amx_int8) features.push_back({7, 0, 3, 25});
        return features;
    }
    // Whether this processor, or its system, lacks what the object was compiled for.
    llvm::Value* cpu_is_missing() {
        auto* registers = llvm::StructType::get(b_.getInt32Ty(), b_.getInt32Ty(), b_.getInt32Ty(),
                                                b_.getInt32Ty());
        auto* cpuid = llvm::InlineAsm::get(
            llvm::FunctionType::get(registers, {b_.getInt32Ty(), b_.getInt32Ty()}, false), "cpuid",
            "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}", true);
        llvm::Value* missing = b_.getFalse();
        std::map<std::pair<std::uint32_t, std::uint32_t>, llvm::Value*> pages;
        for (const Feature& feature : missing_features()) {
            llvm::Value*& page = pages[feature.page()];
            if (page == nullptr) {
                page =
                    b_.CreateCall(cpuid, {b_.getInt32(feature.leaf), b_.getInt32(feature.subleaf)});
            }
            llvm::Value* word = b_.CreateExtractValue(page, feature.position);
            llvm::Value* bit = b_.CreateAnd(word, b_.getInt32(1u << feature.bit));
            missing = b_.CreateOr(missing, b_.CreateICmpEQ(bit, b_.getInt32(0)));
        }
        if (uses_tiles_) missing = b_.CreateOr(missing, tiles_are_refused());
        return missing;
    }

    // Asks Linux for the tiles of AMX, which a process may not use before; asking again costs a call of the system.
    // Other systems with AMX are not known.
    llvm::Value* tiles_are_refused() {
        auto* type = llvm::FunctionType::get(
            b_.getInt64Ty(), {b_.getInt64Ty(), b_.getInt64Ty(), b_.getInt64Ty()}, false);
        auto* system = llvm::InlineAsm::get(
            type, "syscall",
            "={ax},{ax},{di},{si},~{rcx},~{r11},~{memory},~{dirflag},~{fpsr},~{flags}", true);
        constexpr std::int64_t kArchPrctl = 158;
        llvm::Value* result = b_.CreateCall(
            system, {number(kArchPrctl), number(kRequestPermission), number(kTileData)});
        return b_.CreateICmpNE(result, number(0));
    }

    llvm::Module& module_;
    const Program& program_;
    const Machine& machine_;
    const bool uses_tiles_;
    const ObjectOptions& options_;
    Builder b_;
    llvm::Function* function_ = nullptr;
};

}  // namespace

void add_object_functions(llvm::Module& module, const ProgramCode& code,
                          const ObjectOptions& options) {
    ObjectFunctions(module, code, options).add_all();
}

}  // namespace netc
