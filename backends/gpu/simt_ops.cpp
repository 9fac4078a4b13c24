// The operations of device_ops.h as calls into the emulator, for code that runs on the host.
#include "backends/gpu/device_ops.h"
#include "backends/gpu/simt.h"

namespace netc {
namespace {

// void NAME(ptr arguments, ptr thread): arguments as cuLaunchKernel takes them, addresses of values.
class SimtOps final : public DeviceOps {
public:
    unsigned global_space() const override { return 0; }
    unsigned shared_space() const override { return 0; }

    llvm::Function* begin_kernel(llvm::Module& module, const std::string& name,
                                 llvm::ArrayRef<llvm::Type*> parameters, int, bool) override {
        llvm::LLVMContext& context = module.getContext();
        auto* pointer = llvm::PointerType::getUnqual(context);
        auto* type =
            llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer, pointer}, false);
        function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
        function_->addFnAttr(llvm::Attribute::NoUnwind);
        types_.assign(parameters.begin(), parameters.end());
        Builder b(llvm::BasicBlock::Create(context, "entry", function_));
        values_.clear();
        for (unsigned k = 0; k < types_.size(); ++k) {
            llvm::Value* place =
                b.CreateLoad(pointer, b.CreateConstGEP1_32(pointer, function_->getArg(0), k));
            values_.push_back(b.CreateLoad(types_[k], place));
        }
        return function_;
    }
    llvm::Value* parameter(unsigned number) override { return values_[number]; }

    llvm::Value* thread(Builder& b) override { return field(b, offsetof(SimtThread, thread)); }
    llvm::Value* block(Builder& b) override { return field(b, offsetof(SimtThread, block)); }
    llvm::Value* shared(Builder& b) override {
        return b.CreateLoad(b.getPtrTy(), place(b, offsetof(SimtThread, shared)));
    }
    void barrier(Builder& b) override {
        call(b, "netc_simt_barrier", b.getVoidTy(), {function_->getArg(1)});
    }
    llvm::Value* shuffle_xor(Builder& b, llvm::Value* value, unsigned mask) override {
        return call(b, "netc_simt_shuffle_xor", b.getInt32Ty(),
                    {function_->getArg(1), value, b.getInt32(mask)});
    }
    std::array<llvm::Value*, 4> multiply_matrices(Builder& b, MatrixUnit unit,
                                                  llvm::ArrayRef<llvm::Value*> x,
                                                  llvm::ArrayRef<llvm::Value*> y,
                                                  llvm::ArrayRef<llvm::Value*> c) override {
        Builder entry(&function_->getEntryBlock(), function_->getEntryBlock().begin());
        llvm::Value* words = entry.CreateAlloca(llvm::ArrayType::get(b.getInt32Ty(), 10));
        unsigned count = 0;
        const auto word = [&](unsigned k) {
            return b.CreateConstGEP1_32(b.getInt32Ty(), words, k);
        };
        for (const llvm::ArrayRef<llvm::Value*> part : {x, y, c})
            for (llvm::Value* value : part) b.CreateStore(value, word(count++));
        call(b, "netc_simt_multiply", b.getVoidTy(),
             {function_->getArg(1), b.getInt32(unit == MatrixUnit::bf16 ? 1 : 0), words});
        std::array<llvm::Value*, 4> result{};
        for (unsigned k = 0; k < 4; ++k) result[k] = b.CreateLoad(b.getFloatTy(), word(6 + k));
        return result;
    }
    llvm::Value* load_shared(Builder& b, llvm::Type* type, llvm::Value* pointer,
                             llvm::Align align) override {
        note(b, "netc_simt_read", type, pointer, align);
        return b.CreateAlignedLoad(type, pointer, align);
    }
    void store_shared(Builder& b, llvm::Value* value, llvm::Value* pointer,
                      llvm::Align align) override {
        note(b, "netc_simt_write", value->getType(), pointer, align);
        b.CreateAlignedStore(value, pointer, align);
    }

private:
    llvm::Value* place(Builder& b, std::size_t offset) {
        return b.CreateConstGEP1_64(b.getInt8Ty(), function_->getArg(1), offset);
    }
    llvm::Value* field(Builder& b, std::size_t offset) {
        return b.CreateLoad(b.getInt32Ty(), place(b, offset));
    }
    void note(Builder& b, const char* name, llvm::Type* type, llvm::Value* pointer,
              llvm::Align align) {
        const std::uint64_t bytes =
            function_->getParent()->getDataLayout().getTypeStoreSize(type).getFixedValue();
        call(b, name, b.getVoidTy(),
             {function_->getArg(1), pointer, b.getInt32(static_cast<std::uint32_t>(bytes)),
              b.getInt32(static_cast<std::uint32_t>(align.value()))});
    }
    llvm::Value* call(Builder& b, const char* name, llvm::Type* result,
                      llvm::ArrayRef<llvm::Value*> arguments) {
        llvm::SmallVector<llvm::Type*, 4> types;
        for (llvm::Value* argument : arguments) types.push_back(argument->getType());
        const llvm::FunctionCallee callee = function_->getParent()->getOrInsertFunction(
            name, llvm::FunctionType::get(result, types, false));
        return b.CreateCall(callee, arguments);
    }

    llvm::Function* function_ = nullptr;
    llvm::SmallVector<llvm::Type*, 8> types_;
    llvm::SmallVector<llvm::Value*, 8> values_;
};

}  // namespace

std::unique_ptr<DeviceOps> make_simt_ops() { return std::make_unique<SimtOps>(); }

}  // namespace netc
