// The public functions of one object while they are made; members are what all of them share. Only object_functions.cpp
// and object_checks.cpp include it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/c_header.h"
#include "backends/cpu/emit_program.h"
#include "backends/cpu/x86_features.h"
#include "backends/llvm.h"

namespace netc {

class ObjectFunctions {
public:
    ObjectFunctions(llvm::Module& module, const ProgramCode& code, const ObjectOptions& options)
        : module_(module), program_(*code.program), machine_(code.machine),
          uses_tiles_(code.uses_tiles()), options_(options), b_(module.getContext()) {}

    void add_all();

private:
    using Builder = llvm::IRBuilder<>;
    struct Regions {
        llvm::Value *weights = nullptr, *prepared = nullptr, *optimizer = nullptr,
                    *workspace = nullptr, *hyper = nullptr;
    };

    llvm::Value* number(std::int64_t value) {
        return b_.getInt64(static_cast<std::uint64_t>(value));
    }
    llvm::Value* status(ObjectStatus s) { return b_.getInt32(static_cast<std::uint32_t>(s)); }
    llvm::Value* null() { return llvm::ConstantPointerNull::get(b_.getPtrTy()); }

    // object_functions.cpp
    void begin(const char* name, llvm::Type* result, std::vector<llvm::Type*> types);
    llvm::BasicBlock* block(const char* name);
    void write_header(llvm::Value* region, RegionKind kind, std::int64_t size);
    llvm::Value* pointer_array(const std::vector<llvm::Value*>& pointers);
    void call_and_return(const char* entry, const Regions& r,
                         const std::vector<llvm::Value*>& inputs,
                         const std::vector<llvm::Value*>& outputs, llvm::Value* batch);
    llvm::Value* hyper_block();
    llvm::Value* hyper_field(llvm::Value* hyper, std::int64_t offset);
    void set_hyper(llvm::Value* hyper, std::int64_t offset, llvm::Value* value);
    llvm::Value* hyper_from(llvm::Value* given);
    std::vector<llvm::Value*> arguments(unsigned first, std::size_t count);
    std::vector<llvm::Type*> pointers(std::size_t count) { return {count, b_.getPtrTy()}; }
    void size_function(const char* name, const Bytes& bytes);
    void init();
    llvm::Value* scratch(const char* entry, llvm::Value* region = nullptr);
    void prepare();
    void forward();
    llvm::Value* loss_or_scratch(llvm::Value* loss);
    void train_step();
    void gradient();

    // object_checks.cpp
    void refuse_if(llvm::Value* condition, ObjectStatus code);
    llvm::Value* is_misaligned(llvm::Value* region);
    void check_region(llvm::Value* region);
    void check_workspace(llvm::Value* region, const Bytes& size);
    void check_hash(llvm::Value* region, RegionKind kind);
    std::uint64_t hash_of(RegionKind kind) const;
    void check_batch(llvm::Value* batch);
    void check_epoch(llvm::Value* optimizer, llvm::Value* hyper);
    void check_extents(const Entry& entry, llvm::Value* batch);
    void check_indices(const Entry& entry, const std::vector<llvm::Value*>& inputs,
                       llvm::Value* batch);
    std::vector<X86Feature> needed_features() const;
    llvm::Value* cpu_is_missing();
    llvm::Value* tiles_are_refused();

    llvm::Module& module_;
    const Program& program_;
    const Machine& machine_;
    const bool uses_tiles_;
    const ObjectOptions& options_;
    Builder b_;
    llvm::Function* function_ = nullptr;
};

}  // namespace netc
