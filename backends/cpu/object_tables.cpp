#include "backends/cpu/object_tables.h"

#include "backends/c_header.h"

namespace netc {
namespace {

llvm::GlobalVariable* constant(llvm::Module& module, const std::string& name,
                               llvm::Constant* value) {
    return new llvm::GlobalVariable(module, value->getType(), true,
                                    llvm::GlobalValue::InternalLinkage, value, "netc_" + name);
}

llvm::Function* begin(llvm::IRBuilder<>& b, llvm::Module& module, const std::string& name,
                      llvm::Type* argument) {
    auto* function =
        llvm::Function::Create(llvm::FunctionType::get(b.getPtrTy(), {argument}, false),
                               llvm::Function::ExternalLinkage, name, module);
    function->addFnAttr(llvm::Attribute::NoUnwind);
    b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", function));
    return function;
}

}  // namespace

llvm::Value* text_of(llvm::IRBuilder<>& b, llvm::Module& module, const std::string& name,
                     const std::vector<std::string>& texts, llvm::Value* number) {
    std::string all;
    std::vector<std::uint32_t> offsets;
    for (const std::string& text : texts) {
        offsets.push_back(static_cast<std::uint32_t>(all.size()));
        all += text + '\0';
    }
    llvm::LLVMContext& context = module.getContext();
    auto* bytes = constant(module, name, llvm::ConstantDataArray::getString(context, all, false));
    auto* table =
        constant(module, name + "_offsets", llvm::ConstantDataArray::get(context, offsets));
    llvm::Value* last = b.getInt32(static_cast<std::uint32_t>(offsets.size() - 1));
    llvm::Value* row = b.CreateSelect(b.CreateICmpULT(number, last), number, last);
    llvm::Value* offset = b.CreateLoad(
        b.getInt32Ty(), b.CreateGEP(b.getInt32Ty(), table, b.CreateZExt(row, b.getInt64Ty())));
    return b.CreateGEP(b.getInt8Ty(), bytes, b.CreateZExt(offset, b.getInt64Ty()));
}

void add_strerror(llvm::Module& module, const std::string& prefix) {
    std::vector<std::string> texts;
    for (int i = 0; i < kObjectStatusCount; ++i) {
        texts.emplace_back(info(static_cast<ObjectStatus>(i)).message);
    }
    texts.emplace_back("unknown status");
    llvm::IRBuilder<> b(module.getContext());
    llvm::Function* function = begin(b, module, prefix + "_strerror", b.getInt32Ty());
    b.CreateRet(text_of(b, module, "messages", texts, function->getArg(0)));
}

void add_tensors(llvm::Module& module, const Program& program, const std::string& prefix) {
    const TensorTable layout = tensor_table(program);
    llvm::LLVMContext& context = module.getContext();
    llvm::IRBuilder<> b(context);
    auto* name_type = llvm::ArrayType::get(b.getInt8Ty(), layout.name_size);
    auto* shape_type = llvm::ArrayType::get(b.getInt64Ty(), layout.max_rank);
    auto* row_type = llvm::StructType::get(context, {name_type, b.getInt32Ty(), b.getInt32Ty(),
                                                     shape_type, b.getInt64Ty(), b.getInt64Ty(),
                                                     b.getInt32Ty(), b.getInt32Ty()});
    std::vector<llvm::Constant*> rows;
    for (const VariablePlace& place : program.weights) {
        std::string name = place.name;
        name.resize(layout.name_size);
        std::vector<std::uint64_t> shape(layout.max_rank);
        for (std::size_t d = 0; d < place.dims.size(); ++d)
            shape[d] = static_cast<std::uint64_t>(place.dims[d]);
        const std::uint32_t kind = place.kind == VariableKind::parameter ? 0 : 1;
        rows.push_back(llvm::ConstantStruct::get(
            row_type, {llvm::ConstantDataArray::getString(context, name, false),
                       b.getInt32(static_cast<std::uint32_t>(place.dtype)),
                       b.getInt32(static_cast<std::uint32_t>(place.dims.size())),
                       llvm::ConstantDataArray::get(context, shape),
                       b.getInt64(static_cast<std::uint64_t>(place.offset)),
                       b.getInt64(static_cast<std::uint64_t>(place.size)), b.getInt32(kind),
                       b.getInt32(place.frozen ? 1 : 0)}));
    }
    auto* table =
        constant(module, "tensors",
                 llvm::ConstantArray::get(llvm::ArrayType::get(row_type, rows.size()), rows));
    llvm::Function* function = begin(b, module, prefix + "_tensors", b.getPtrTy());
    llvm::BasicBlock* count = llvm::BasicBlock::Create(context, "count", function);
    llvm::BasicBlock* done = llvm::BasicBlock::Create(context, "done", function);
    llvm::Value* null = llvm::ConstantPointerNull::get(b.getPtrTy());
    b.CreateCondBr(b.CreateICmpEQ(function->getArg(0), null), done, count);
    b.SetInsertPoint(count);
    b.CreateStore(b.getInt64(rows.size()), function->getArg(0));
    b.CreateBr(done);
    b.SetInsertPoint(done);
    b.CreateRet(table);
}

}  // namespace netc
