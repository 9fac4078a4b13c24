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
                                 llvm::ArrayRef<llvm::Type*> parameters, int, bool,
                                 unsigned tensor_maps) override {
        llvm::LLVMContext& context = module.getContext();
        auto* pointer = llvm::PointerType::getUnqual(context);
        auto* type =
            llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer, pointer}, false);
        function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
        function_->addFnAttr(llvm::Attribute::NoUnwind);
        types_.assign(parameters.begin(), parameters.end());
        Builder b(llvm::BasicBlock::Create(context, "entry", function_));
        values_.clear();
        for (unsigned k = 0; k < types_.size() + tensor_maps; ++k) {
            llvm::Value* place =
                b.CreateLoad(pointer, b.CreateConstGEP1_32(pointer, function_->getArg(0), k));
            values_.push_back(k < types_.size() ? b.CreateLoad(types_[k], place) : place);
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
        llvm::SmallVector<llvm::Value*> values(x);
        values.append(y.begin(), y.end());
        values.append(c.begin(), c.end());
        llvm::Value* words = array_of(b, values);
        call(b, "netc_simt_multiply", b.getVoidTy(),
             {function_->getArg(1), b.getInt32(unit == MatrixUnit::bf16 ? 1 : 0), words});
        std::array<llvm::Value*, 4> result{};
        for (unsigned k = 0; k < 4; ++k) result[k] = element(b, b.getFloatTy(), words, 6 + k);
        return result;
    }
    std::array<llvm::Value*, 4> load_matrices(Builder& b, llvm::Value* row,
                                              bool transposed) override {
        llvm::Value* words = array(b, b.getInt32Ty(), 4);
        call(b, "netc_simt_load_matrices", b.getVoidTy(),
             {function_->getArg(1), row, b.getInt32(transposed ? 1 : 0), words});
        std::array<llvm::Value*, 4> result{};
        for (unsigned k = 0; k < 4; ++k) result[k] = element(b, b.getInt32Ty(), words, k);
        return result;
    }

    void copy_async(Builder& b, llvm::Value* shared, llvm::Value* global, unsigned bytes,
                    llvm::Value* exists) override {
        llvm::Value* filled = b.getInt32(bytes);
        if (exists != nullptr) filled = b.CreateSelect(exists, filled, b.getInt32(0));
        call(b, "netc_simt_copy_async", b.getVoidTy(),
             {function_->getArg(1), shared, global, b.getInt32(bytes), filled});
    }
    void commit_copies(Builder& b) override {
        call(b, "netc_simt_commit_copies", b.getVoidTy(), {function_->getArg(1)});
    }
    void wait_for_copies(Builder& b, unsigned pending) override {
        call(b, "netc_simt_wait_for_copies", b.getVoidTy(),
             {function_->getArg(1), b.getInt32(pending)});
    }

    llvm::Value* shared_address(Builder& b, llvm::Value* pointer) override {
        return b.CreateTrunc(b.CreateSub(b.CreatePtrToInt(pointer, b.getInt64Ty()),
                                         b.CreatePtrToInt(shared(b), b.getInt64Ty())),
                             b.getInt32Ty());
    }
    void fence_shared(Builder& b) override {
        call(b, "netc_simt_fence_shared", b.getVoidTy(), {function_->getArg(1)});
    }
    llvm::SmallVector<llvm::Value*> multiply_warpgroup(Builder& b, const WarpgroupProduct& product,
                                                       llvm::ArrayRef<llvm::Value*> a_descriptors,
                                                       llvm::ArrayRef<llvm::Value*> b_descriptors,
                                                       llvm::ArrayRef<llvm::Value*> sums) override {
        llvm::SmallVector<llvm::Value*> descriptors;
        for (std::size_t k = 0; k < a_descriptors.size(); ++k) {
            descriptors.push_back(a_descriptors[k]);
            descriptors.push_back(b_descriptors[k]);
        }
        const std::uint32_t shape = (product.unit == MatrixUnit::bf16 ? 1U : 0U) |
                                    (product.a_across ? 2U : 0U) | (product.b_across ? 4U : 0U) |
                                    8 * product.columns;
        llvm::Value* numbers = array_of(b, sums);
        call(b, "netc_simt_multiply_warpgroup", b.getVoidTy(),
             {function_->getArg(1), b.getInt32(shape), array_of(b, descriptors),
              b.getInt32(static_cast<std::uint32_t>(descriptors.size())), numbers});
        return elements(b, b.getFloatTy(), numbers, sums.size());
    }
    llvm::SmallVector<llvm::Value*> wait_for_products(Builder& b, llvm::ArrayRef<llvm::Value*> sums,
                                                      unsigned pending) override {
        llvm::Value* numbers = array_of(b, sums);
        call(b, "netc_simt_wait_for_products", b.getVoidTy(),
             {function_->getArg(1), b.getInt32(pending), numbers});
        return elements(b, b.getFloatTy(), numbers, sums.size());
    }

    void init_phases(Builder& b, llvm::Value* barrier, unsigned arrivals) override {
        call(b, "netc_simt_init_phases", b.getVoidTy(),
             {function_->getArg(1), barrier, b.getInt32(arrivals)});
    }
    void arrive(Builder& b, llvm::Value* barrier) override {
        call(b, "netc_simt_arrive", b.getVoidTy(), {function_->getArg(1), barrier, b.getInt32(0)});
    }
    void arrive_and_expect(Builder& b, llvm::Value* barrier, std::int64_t bytes) override {
        call(b, "netc_simt_arrive", b.getVoidTy(),
             {function_->getArg(1), barrier, b.getInt32(static_cast<std::uint32_t>(bytes))});
    }
    void wait_for_phase(Builder& b, llvm::Value* barrier, llvm::Value* parity) override {
        call(b, "netc_simt_wait_for_phase", b.getVoidTy(), {function_->getArg(1), barrier, parity});
    }
    void copy_box(Builder& b, llvm::Value* shared, llvm::Value* tensor_map,
                  llvm::ArrayRef<llvm::Value*> coordinates, llvm::Value* barrier) override {
        call(b, "netc_simt_copy_box", b.getVoidTy(),
             {function_->getArg(1), shared, tensor_map, array_of(b, coordinates),
              b.getInt32(static_cast<std::uint32_t>(coordinates.size())), barrier});
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
    llvm::Value* array(Builder& b, llvm::Type* type, std::size_t count) {
        Builder entry(&function_->getEntryBlock(), function_->getEntryBlock().begin());
        llvm::AllocaInst* place = entry.CreateAlloca(llvm::ArrayType::get(type, count));
        place->setAlignment(
            b.GetInsertBlock()->getModule()->getDataLayout().getPrefTypeAlign(type));
        return place;
    }
    // Of values of the same size.
    llvm::Value* array_of(Builder& b, llvm::ArrayRef<llvm::Value*> values) {
        llvm::Value* place = array(b, values[0]->getType(), values.size());
        for (unsigned k = 0; k < values.size(); ++k)
            b.CreateStore(values[k], b.CreateConstGEP1_32(values[0]->getType(), place, k));
        return place;
    }
    static llvm::Value* element(Builder& b, llvm::Type* type, llvm::Value* place, unsigned number) {
        return b.CreateLoad(type, b.CreateConstGEP1_32(type, place, number));
    }
    static llvm::SmallVector<llvm::Value*> elements(Builder& b, llvm::Type* type,
                                                    llvm::Value* place, std::size_t count) {
        llvm::SmallVector<llvm::Value*> values;
        for (unsigned k = 0; k < count; ++k) values.push_back(element(b, type, place, k));
        return values;
    }
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
