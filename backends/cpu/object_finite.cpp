#include "backends/cpu/object_finite.h"

#include <algorithm>

#include "backends/c_header.h"
#include "ir/finite_check.h"

namespace netc {
namespace {

bool is_check(const Call& call) { return call.label.starts_with(kFiniteCheck); }

std::uint32_t checks_of(const Entry& entry) {
    return static_cast<std::uint32_t>(std::ranges::count_if(entry.calls, is_check));
}

// Texts are numbered through all entries; the entry's first one.
std::uint32_t first_text(const Program& program, const Entry& entry) {
    std::uint32_t number = 0;
    for (const Entry& each : program.entries) {
        if (&each == &entry) break;
        number += checks_of(each);
    }
    return number;
}

}  // namespace

bool has_finite_checks(const Entry& entry) { return checks_of(entry) > 0; }

llvm::Value* status_of_checks(llvm::IRBuilder<>& b, llvm::Function* function,
                              const Program& program, const Entry& entry, llvm::Value* workspace,
                              llvm::Value* status) {
    llvm::LLVMContext& context = function->getContext();
    const auto block = [&](const char* name) {
        return llvm::BasicBlock::Create(context, name, function);
    };
    llvm::BasicBlock *before = b.GetInsertBlock(), *loop = block("check_finite"),
                     *bad = block("not_finite"), *next = block("next_check"),
                     *done = block("finite");
    b.CreateBr(loop);
    b.SetInsertPoint(loop);
    llvm::PHINode* i = b.CreatePHI(b.getInt32Ty(), 2);
    i->addIncoming(b.getInt32(0), before);
    llvm::Value* flag = b.CreateLoad(b.getInt32Ty(), b.CreateGEP(b.getInt32Ty(), workspace, i));
    b.CreateCondBr(b.CreateICmpNE(flag, b.getInt32(0)), bad, next);
    b.SetInsertPoint(bad);
    b.CreateStore(b.CreateAdd(i, b.getInt32(first_text(program, entry))), workspace);
    b.CreateBr(done);
    b.SetInsertPoint(next);
    llvm::Value* following = b.CreateAdd(i, b.getInt32(1));
    i->addIncoming(following, next);
    b.CreateCondBr(b.CreateICmpULT(following, b.getInt32(checks_of(entry))), loop, done);
    b.SetInsertPoint(done);
    llvm::PHINode* result = b.CreatePHI(b.getInt32Ty(), 2);
    result->addIncoming(b.getInt32(static_cast<std::uint32_t>(ObjectStatus::nan)), bad);
    result->addIncoming(status, next);
    return result;
}

void add_not_finite(llvm::Module& module, const Program& program, const std::string& prefix) {
    // One text with offsets into it: a table of pointers would need relocations.
    std::string text;
    std::vector<std::uint32_t> offsets;
    for (const Entry& entry : program.entries) {
        for (const Call& call : entry.calls) {
            if (!is_check(call)) continue;
            offsets.push_back(static_cast<std::uint32_t>(text.size()));
            text += call.label.substr(kFiniteCheck.size()) + '\0';
        }
    }
    llvm::LLVMContext& context = module.getContext();
    llvm::IRBuilder<> b(context);
    const auto constant = [&](const char* name, llvm::Constant* value) {
        return new llvm::GlobalVariable(module, value->getType(), true,
                                        llvm::GlobalValue::InternalLinkage, value, name);
    };
    auto* bytes = constant("netc_places", llvm::ConstantDataArray::getString(context, text, false));
    auto* table = constant("netc_place_offsets", llvm::ConstantDataArray::get(context, offsets));
    auto* function =
        llvm::Function::Create(llvm::FunctionType::get(b.getPtrTy(), {b.getPtrTy()}, false),
                               llvm::Function::ExternalLinkage, prefix + "_not_finite", module);
    function->addFnAttr(llvm::Attribute::NoUnwind);
    b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
    llvm::Value* number = b.CreateLoad(b.getInt32Ty(), function->getArg(0));
    // Whatever lies there when no check failed names no text beyond the last.
    llvm::Value* last = b.getInt32(static_cast<std::uint32_t>(offsets.size() - 1));
    llvm::Value* row = b.CreateSelect(b.CreateICmpULT(number, last), number, last);
    llvm::Value* offset = b.CreateLoad(
        b.getInt32Ty(), b.CreateGEP(b.getInt32Ty(), table, b.CreateZExt(row, b.getInt64Ty())));
    b.CreateRet(b.CreateGEP(b.getInt8Ty(), bytes, b.CreateZExt(offset, b.getInt64Ty())));
}

}  // namespace netc
