// The operations of device_ops.h as NVPTX intrinsics.
#include <llvm/IR/IntrinsicsNVPTX.h>

#include <algorithm>

#include "backends/gpu/device_ops.h"

namespace netc {
namespace {

constexpr unsigned kGlobal = 1;
constexpr unsigned kShared = 3;
constexpr int kThreadsWanted = 512;  // of a multiprocessor: each may have 128 registers

class NvptxOps final : public DeviceOps {
public:
    unsigned global_space() const override { return kGlobal; }
    unsigned shared_space() const override { return kShared; }

    llvm::Function* begin_kernel(llvm::Module& module, const std::string& name,
                                 llvm::ArrayRef<llvm::Type*> parameters, int threads,
                                 bool many_registers) override {
        llvm::LLVMContext& context = module.getContext();
        auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), parameters, false);
        function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
        function_->setCallingConv(llvm::CallingConv::PTX_Kernel);
        function_->addFnAttr(llvm::Attribute::NoUnwind);
        // Subnormals of f32 count as zero, as everywhere.
        function_->addFnAttr("denormal-fp-math-f32", "preserve-sign,preserve-sign");
        for (llvm::Argument& argument : function_->args()) {
            if (argument.getType()->isPointerTy())
                argument.addAttr(llvm::Attribute::getWithAlignment(context, llvm::Align(64)));
        }
        const auto annotate = [&](const char* what, int value) {
            auto* word = llvm::Type::getInt32Ty(context);
            llvm::Metadata* const parts[] = {llvm::ValueAsMetadata::get(function_),
                                             llvm::MDString::get(context, what),
                                             llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(
                                                 word, static_cast<std::uint64_t>(value)))};
            module.getOrInsertNamedMetadata("nvvm.annotations")
                ->addOperand(llvm::MDNode::get(context, parts));
        };
        annotate("kernel", 1);
        annotate("maxntidx", threads);
        // Without this the assembler keeps to 32 registers where it thinks that threads matter more, and spills.
        annotate("minctasm", std::max(1, kThreadsWanted / (many_registers ? 2 : 1) / threads));
        return function_;
    }
    llvm::Value* parameter(unsigned number) override { return function_->getArg(number); }

    llvm::Value* thread(Builder& b) override {
        return b.CreateIntrinsic(llvm::Intrinsic::nvvm_read_ptx_sreg_tid_x, {}, {});
    }
    llvm::Value* block(Builder& b) override {
        return b.CreateIntrinsic(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x, {}, {});
    }
    llvm::Value* shared(Builder& b) override {
        llvm::Module* module = function_->getParent();
        if (llvm::GlobalVariable* known = module->getNamedGlobal("netc_shared")) return known;
        auto* type = llvm::ArrayType::get(b.getInt8Ty(), 0);
        auto* memory = new llvm::GlobalVariable(
            *module, type, false, llvm::GlobalValue::ExternalLinkage, nullptr, "netc_shared",
            nullptr, llvm::GlobalValue::NotThreadLocal, kShared);
        memory->setAlignment(llvm::Align(128));
        return memory;
    }
    void barrier(Builder& b) override { b.CreateIntrinsic(llvm::Intrinsic::nvvm_barrier0, {}, {}); }
    llvm::Value* shuffle_xor(Builder& b, llvm::Value* value, unsigned mask) override {
        return b.CreateIntrinsic(llvm::Intrinsic::nvvm_shfl_sync_bfly_i32, {},
                                 {b.getInt32(0xffffffff), value, b.getInt32(mask), b.getInt32(31)});
    }
    std::array<llvm::Value*, 4> multiply_matrices(Builder& b, MatrixUnit unit,
                                                  llvm::ArrayRef<llvm::Value*> x,
                                                  llvm::ArrayRef<llvm::Value*> y,
                                                  llvm::ArrayRef<llvm::Value*> c) override {
        const auto id = unit == MatrixUnit::bf16 ? llvm::Intrinsic::nvvm_mma_m16n8k16_row_col_bf16
                                                 : llvm::Intrinsic::nvvm_mma_m16n8k8_row_col_tf32;
        llvm::SmallVector<llvm::Value*, 10> operands(x.begin(), x.end());
        operands.append(y.begin(), y.end());
        operands.append(c.begin(), c.end());
        llvm::Value* sums = b.CreateIntrinsic(id, {}, operands);
        std::array<llvm::Value*, 4> result{};
        for (unsigned k = 0; k < 4; ++k) result[k] = b.CreateExtractValue(sums, k);
        return result;
    }
    llvm::Value* load_shared(Builder& b, llvm::Type* type, llvm::Value* pointer,
                             llvm::Align align) override {
        return b.CreateAlignedLoad(type, pointer, align);
    }
    void store_shared(Builder& b, llvm::Value* value, llvm::Value* pointer,
                      llvm::Align align) override {
        b.CreateAlignedStore(value, pointer, align);
    }

private:
    llvm::Function* function_ = nullptr;
};

}  // namespace

std::unique_ptr<DeviceOps> make_nvptx_ops() { return std::make_unique<NvptxOps>(); }

}  // namespace netc
