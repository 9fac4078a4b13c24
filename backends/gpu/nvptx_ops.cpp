// The operations of device_ops.h as NVPTX intrinsics.
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/IntrinsicsNVPTX.h>

#include <algorithm>

#include <fmt/format.h>

#include "backends/gpu/device_ops.h"

namespace netc {
namespace {

constexpr unsigned kGlobal = 1;
constexpr unsigned kShared = 3;
constexpr std::uint64_t kMapBytes = 128;
constexpr int kThreadsWanted = 512;  // of a multiprocessor: each may have 128 registers

class NvptxOps final : public DeviceOps {
public:
    unsigned global_space() const override { return kGlobal; }
    unsigned shared_space() const override { return kShared; }

    llvm::Function* begin_kernel(llvm::Module& module, const std::string& name,
                                 llvm::ArrayRef<llvm::Type*> parameters, int threads,
                                 bool many_registers, unsigned tensor_maps) override {
        llvm::LLVMContext& context = module.getContext();
        llvm::SmallVector<llvm::Type*> types(parameters);
        types.append(tensor_maps, llvm::PointerType::getUnqual(context));
        auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), types, false);
        function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
        function_->setCallingConv(llvm::CallingConv::PTX_Kernel);
        function_->addFnAttr(llvm::Attribute::NoUnwind);
        // Subnormals of f32 count as zero, as everywhere.
        function_->addFnAttr("denormal-fp-math-f32", "preserve-sign,preserve-sign");
        for (llvm::Argument& argument : function_->args()) {
            if (argument.getType()->isPointerTy())
                argument.addAttr(llvm::Attribute::getWithAlignment(context, llvm::Align(64)));
            if (argument.getArgNo() >= parameters.size())
                argument.addAttr(llvm::Attribute::getWithByValType(
                    context, llvm::ArrayType::get(llvm::Type::getInt8Ty(context), kMapBytes)));
        }
        const auto number = [&](std::uint64_t value) {
            return llvm::ConstantAsMetadata::get(
                llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), value));
        };
        const auto annotate_with = [&](const char* what, llvm::Metadata* value) {
            llvm::Metadata* const parts[] = {llvm::ValueAsMetadata::get(function_),
                                             llvm::MDString::get(context, what), value};
            module.getOrInsertNamedMetadata("nvvm.annotations")
                ->addOperand(llvm::MDNode::get(context, parts));
        };
        const auto annotate = [&](const char* what, int value) {
            annotate_with(what, number(static_cast<std::uint64_t>(value)));
        };
        annotate("kernel", 1);
        // Tensor maps stay where the launch put them: copies read them there. Arguments are counted from 1.
        llvm::SmallVector<llvm::Metadata*> maps;
        for (std::size_t k = parameters.size(); k < types.size(); ++k)
            maps.push_back(number(k + 1));
        if (!maps.empty()) annotate_with("grid_constant", llvm::MDNode::get(context, maps));
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
        // The patterns of swizzled matrices of 128 bytes a row begin at multiples of this ("Matrix Descriptor Format").
        memory->setAlignment(llvm::Align(1024));
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
    std::array<llvm::Value*, 4> load_matrices(Builder& b, llvm::Value* row,
                                              bool transposed) override {
        const auto id = transposed ? llvm::Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x4_trans_b16
                                   : llvm::Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x4_b16;
        llvm::Value* words = b.CreateIntrinsic(id, {row->getType()}, {row});
        std::array<llvm::Value*, 4> result{};
        for (unsigned k = 0; k < 4; ++k) result[k] = b.CreateExtractValue(words, k);
        return result;
    }

    // Sixteen bytes pass by the first cache: what a block brings it keeps in shared memory.
    void copy_async(Builder& b, llvm::Value* shared, llvm::Value* global, unsigned bytes,
                    llvm::Value* exists) override {
        if (exists == nullptr) {
            const auto id = bytes == 16 ? llvm::Intrinsic::nvvm_cp_async_cg_shared_global_16
                                        : llvm::Intrinsic::nvvm_cp_async_ca_shared_global_4;
            b.CreateIntrinsic(id, {}, {shared, global});
            return;
        }
        const auto id = bytes == 16 ? llvm::Intrinsic::nvvm_cp_async_cg_shared_global_16_s
                                    : llvm::Intrinsic::nvvm_cp_async_ca_shared_global_4_s;
        llvm::Value* filled = b.CreateSelect(exists, b.getInt32(bytes), b.getInt32(0));
        b.CreateIntrinsic(id, {}, {shared, global, filled});
    }
    void commit_copies(Builder& b) override {
        b.CreateIntrinsic(llvm::Intrinsic::nvvm_cp_async_commit_group, {}, {});
    }
    void wait_for_copies(Builder& b, unsigned pending) override {
        b.CreateIntrinsic(llvm::Intrinsic::nvvm_cp_async_wait_group, {}, {b.getInt32(pending)});
    }

    llvm::Value* shared_address(Builder& b, llvm::Value* pointer) override {
        return b.CreatePtrToInt(pointer, b.getInt32Ty());
    }
    void fence_shared(Builder& b) override {
        assembly(b, b.getVoidTy(), "fence.proxy.async.shared::cta;", "~{memory}", {});
    }
    llvm::SmallVector<llvm::Value*> multiply_warpgroup(Builder& b, const WarpgroupProduct& product,
                                                       llvm::ArrayRef<llvm::Value*> a_descriptors,
                                                       llvm::ArrayRef<llvm::Value*> b_descriptors,
                                                       llvm::ArrayRef<llvm::Value*> sums) override {
        const bool bf16 = product.unit == MatrixUnit::bf16;
        // Operands of the text: the sums as results, the same as arguments, descriptors of a, of b, whether to add.
        std::size_t next = 2 * sums.size();
        std::string registers;
        for (std::size_t k = 0; k < sums.size(); ++k)
            registers += fmt::format("{}${}", k == 0 ? "" : ", ", k);
        std::string text = fmt::format("{{\n.reg .pred adds;\nsetp.ne.b32 adds, ${}, 0;\n"
                                       "wgmma.fence.sync.aligned;\n",
                                       next + 2 * a_descriptors.size());
        for (std::size_t k = 0; k < a_descriptors.size(); ++k, ++next) {
            text += fmt::format("wgmma.mma_async.sync.aligned.m64n{0}k{1}.f32.{2}.{2} {{{3}}}, "
                                "${4}, ${5}, adds, 1, 1",
                                product.columns, bf16 ? 16 : 8, bf16 ? "bf16" : "tf32", registers,
                                next, next + a_descriptors.size());
            // Of tf32 both run along the sum, without a word.
            text +=
                bf16 ? fmt::format(", {:d}, {:d};\n", product.a_across, product.b_across) : ";\n";
        }
        text += "wgmma.commit_group.sync.aligned;\n}";
        std::string more;
        for (std::size_t k = 0; k < 2 * a_descriptors.size(); ++k) more += ",l";
        llvm::SmallVector<llvm::Value*> operands(a_descriptors);
        operands.append(b_descriptors.begin(), b_descriptors.end());
        operands.push_back(b.getInt32(1));
        return in_place(b, text, sums, more + ",r", operands);
    }
    llvm::SmallVector<llvm::Value*> wait_for_products(Builder& b, llvm::ArrayRef<llvm::Value*> sums,
                                                      unsigned pending) override {
        return in_place(b, fmt::format("wgmma.wait_group.sync.aligned {};", pending), sums, "", {});
    }

    void init_phases(Builder& b, llvm::Value* barrier, unsigned arrivals) override {
        assembly(b, b.getVoidTy(), "mbarrier.init.shared::cta.b64 [$0], $1;", "r,r,~{memory}",
                 {shared_address(b, barrier), b.getInt32(arrivals)});
    }
    void arrive(Builder& b, llvm::Value* barrier) override {
        assembly(b, b.getVoidTy(), "mbarrier.arrive.shared::cta.b64 _, [$0];", "r,~{memory}",
                 {shared_address(b, barrier)});
    }
    void arrive_and_expect(Builder& b, llvm::Value* barrier, std::int64_t bytes) override {
        assembly(b, b.getVoidTy(), "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;",
                 "r,r,~{memory}",
                 {shared_address(b, barrier), b.getInt32(static_cast<std::uint32_t>(bytes))});
    }
    void wait_for_phase(Builder& b, llvm::Value* barrier, llvm::Value* parity) override {
        // A try waits for some time, and then gives up.
        assembly(b, b.getVoidTy(),
                 "{\n.reg .pred ended;\nwait:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 ended, [$0], $1;\n"
                 "@!ended bra wait;\n}",
                 "r,r,~{memory}", {shared_address(b, barrier), parity});
    }
    void copy_box(Builder& b, llvm::Value* shared, llvm::Value* tensor_map,
                  llvm::ArrayRef<llvm::Value*> coordinates, llvm::Value* barrier) override {
        llvm::SmallVector<llvm::Value*> operands{shared_address(b, shared), tensor_map,
                                                 shared_address(b, barrier)};
        std::string list, constraints = "r,l,r";
        for (llvm::Value* coordinate : coordinates) {
            list += fmt::format("{}${}", list.empty() ? "" : ", ", operands.size());
            constraints += ",r";
            operands.push_back(coordinate);
        }
        assembly(b, b.getVoidTy(),
                 fmt::format("cp.async.bulk.tensor.{}d.shared::cluster.global.mbarrier::"
                             "complete_tx::bytes [$0], [$1, {{{}}}], [$2];",
                             coordinates.size(), list),
                 constraints + ",~{memory}", operands);
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
    // What LLVM has no intrinsic for. All threads execute it together, and it is not moved.
    static llvm::Value* assembly(Builder& b, llvm::Type* result, const std::string& text,
                                 const std::string& constraints,
                                 llvm::ArrayRef<llvm::Value*> operands) {
        llvm::SmallVector<llvm::Type*> types;
        for (llvm::Value* operand : operands) types.push_back(operand->getType());
        auto* type = llvm::FunctionType::get(result, types, false);
        llvm::CallInst* call =
            b.CreateCall(llvm::InlineAsm::get(type, text, constraints, true), operands);
        call->setConvergent();
        return call;
    }
    // Of numbers that stay in their registers.
    static llvm::SmallVector<llvm::Value*> in_place(Builder& b, const std::string& text,
                                                    llvm::ArrayRef<llvm::Value*> numbers,
                                                    const std::string& more,
                                                    llvm::ArrayRef<llvm::Value*> operands) {
        std::string outputs, inputs;
        for (std::size_t k = 0; k < numbers.size(); ++k) {
            outputs += "=f,";
            inputs += fmt::format("{},", k);
        }
        inputs.pop_back();
        llvm::SmallVector<llvm::Value*> all(numbers);
        all.append(operands.begin(), operands.end());
        auto* type = llvm::StructType::get(
            b.getContext(), llvm::SmallVector<llvm::Type*>(numbers.size(), b.getFloatTy()));
        llvm::Value* results = assembly(b, type, text, outputs + inputs + more + ",~{memory}", all);
        llvm::SmallVector<llvm::Value*> values;
        for (unsigned k = 0; k < numbers.size(); ++k)
            values.push_back(b.CreateExtractValue(results, k));
        return values;
    }

    llvm::Function* function_ = nullptr;
};

}  // namespace

std::unique_ptr<DeviceOps> make_nvptx_ops() { return std::make_unique<NvptxOps>(); }

}  // namespace netc
