#include "backends/gpu/object/gpu_functions.h"

#include <algorithm>
#include <cstddef>

#include "backends/c_header.h"
#include "backends/cpu/object_tables.h"
#include "backends/gpu/object/gpu_header.h"
#include "backends/gpu/object/object_program.h"

namespace netc {
namespace {

using Values = std::vector<llvm::Value*>;

class GpuFunctions {
public:
    GpuFunctions(llvm::Module& module, const Program& program, const ObjectOptions& options)
        : module_(module), program_(program), options_(options), b_(module.getContext()) {}

    void add_all(const std::string& table, const std::string& ptx) {
        table_ = constant("netc_program", table);
        ptx_ = constant("netc_ptx", ptx + '\0');
        handle_functions();
        sizes();
        add_strerror();
        add_tensors(module_, program_, options_.prefix);
        for (const bool in_stream : {false, true}) {
            init(in_stream);
            prepare(in_stream);
            forward(in_stream);
            if (!options_.train) continue;
            train_step(in_stream);
            gradient(in_stream);
        }
    }

private:
    llvm::Type* pointer() { return b_.getPtrTy(); }
    llvm::Value* null() { return llvm::ConstantPointerNull::get(b_.getPtrTy()); }

    llvm::Constant* constant(const char* name, const std::string& bytes) {
        auto* value = llvm::ConstantDataArray::getString(module_.getContext(), bytes, false);
        auto* made = new llvm::GlobalVariable(module_, value->getType(), true,
                                              llvm::GlobalValue::InternalLinkage, value, name);
        made->setAlignment(llvm::Align(16));
        return made;
    }

    void begin(const std::string& name, llvm::Type* result, const std::vector<llvm::Type*>& types) {
        function_ = llvm::Function::Create(llvm::FunctionType::get(result, types, false),
                                           llvm::Function::ExternalLinkage, options_.prefix + name,
                                           module_);
        function_->addFnAttr(llvm::Attribute::NoUnwind);
        b_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", function_));
    }
    llvm::Value* argument(std::size_t i) { return function_->getArg(static_cast<unsigned>(i)); }
    Values arguments(std::size_t first, std::size_t count) {
        Values values;
        for (std::size_t i = first; i < first + count; ++i) values.push_back(argument(i));
        return values;
    }

    // A function of the runtime.
    llvm::Value* call(const char* name, llvm::Type* result, const Values& values) {
        std::vector<llvm::Type*> types;
        for (llvm::Value* value : values) types.push_back(value->getType());
        return b_.CreateCall(
            module_.getOrInsertFunction(name, llvm::FunctionType::get(result, types, false)),
            values);
    }
    void call_and_return(const char* name, llvm::Type* result, const Values& values) {
        b_.CreateRet(call(name, result, values));
    }

    // The same arguments, with what only this object knows around them.
    void pass_on(const std::string& name, const char* callee, const std::vector<llvm::Type*>& types,
                 const Values& before = {}, const Values& after = {}) {
        begin(name, b_.getInt32Ty(), types);
        Values values = before;
        for (llvm::Value* each : arguments(0, types.size())) values.push_back(each);
        values.insert(values.end(), after.begin(), after.end());
        call_and_return(callee, b_.getInt32Ty(), values);
    }

    void handle_functions() {
        llvm::Type* size = b_.getInt64Ty();
        pass_on("_gpu_open", "netc_object_open", {b_.getInt32Ty(), pointer()}, {table_, ptx_});
        pass_on("_gpu_close", "netc_object_close", {pointer()});
        pass_on("_gpu_allocate", "netc_object_allocate", {pointer(), size, pointer()});
        pass_on("_gpu_free", "netc_object_free", {pointer(), pointer()});
        const std::vector<llvm::Type*> copy{pointer(), pointer(), pointer(), size};
        pass_on("_gpu_upload", "netc_object_copy", copy, {}, {b_.getInt32(0)});
        pass_on("_gpu_download", "netc_object_copy", copy, {}, {b_.getInt32(1)});
        pass_on("_gpu_wait", "netc_object_wait", {pointer(), pointer()});
        pass_on("_gpu_driver_error", "netc_object_driver_error", {pointer()});
    }

    llvm::Value* workspace_of(std::uint32_t entry) {
        return call("netc_object_workspace", b_.getInt64Ty(),
                    {table_, b_.getInt32(entry), argument(0)});
    }
    void sizes() {
        begin("_forward_workspace", b_.getInt64Ty(), {b_.getInt64Ty()});
        b_.CreateRet(workspace_of(NETC_FORWARD));
        begin("_optimizer_size", b_.getInt64Ty(), {});
        b_.CreateRet(
            b_.getInt64(options_.train ? static_cast<std::uint64_t>(program_.optimizer_size) : 0));
        if (!options_.train) return;
        begin("_train_workspace", b_.getInt64Ty(), {b_.getInt64Ty()});
        llvm::Value *gradient = workspace_of(NETC_GRADIENT), *step = workspace_of(NETC_TRAIN_STEP);
        b_.CreateRet(b_.CreateSelect(b_.CreateICmpUGT(gradient, step), gradient, step));
    }

    // Codes 0, 1, ... and then -1, -2, ... are numbers of texts.
    void add_strerror() {
        const std::vector<std::string> texts = gpu_status_messages();
        const auto unknown = b_.getInt32(static_cast<std::uint32_t>(texts.size() - 1));
        const auto shared = b_.getInt32(kObjectStatusCount);
        begin("_strerror", pointer(), {b_.getInt32Ty()});
        llvm::Value* status = argument(0);
        llvm::Value* negative = b_.CreateICmpSLT(status, b_.getInt32(0));
        llvm::Value* number =
            b_.CreateSelect(negative, b_.CreateSub(b_.CreateSub(shared, b_.getInt32(1)), status),
                            b_.CreateSelect(b_.CreateICmpULT(status, shared), status, unknown));
        b_.CreateRet(text_of(b_, module_, "messages", texts, number));
    }

    // ---- the functions of the model -----------------------------------------------------------------

    // With a null pointer behind them: an array has at least one element.
    llvm::Value* pointer_array(Values pointers) {
        pointers.push_back(null());
        llvm::Value* array =
            b_.CreateAlloca(pointer(), b_.getInt32(static_cast<std::uint32_t>(pointers.size())));
        for (std::size_t i = 0; i < pointers.size(); ++i)
            b_.CreateStore(pointers[i], b_.CreateConstGEP1_64(pointer(), array, i));
        return array;
    }

    struct Given {
        llvm::Value *weights = nullptr, *prepared = nullptr, *optimizer = nullptr,
                    *workspace = nullptr, *gradients = nullptr, *batch = nullptr, *hyper = nullptr,
                    *seed = nullptr;
        Values inputs = {}, outputs = {};
    };
    // Fills a NetcRun and calls the runtime.
    void run(std::uint32_t entry, bool in_stream, const Given& given) {
        llvm::AllocaInst* run = b_.CreateAlloca(b_.getInt8Ty(), b_.getInt32(sizeof(NetcRun)));
        run->setAlignment(llvm::Align(alignof(NetcRun)));
        const auto set = [&](std::size_t offset, llvm::Value* value) {
            b_.CreateStore(value != nullptr ? value : null(),
                           b_.CreateConstGEP1_64(b_.getInt8Ty(), run, offset));
        };
        set(offsetof(NetcRun, weights), given.weights);
        set(offsetof(NetcRun, prepared), given.prepared);
        set(offsetof(NetcRun, optimizer), given.optimizer);
        set(offsetof(NetcRun, workspace), given.workspace);
        set(offsetof(NetcRun, gradients), given.gradients);
        set(offsetof(NetcRun, inputs), pointer_array(given.inputs));
        set(offsetof(NetcRun, outputs), pointer_array(given.outputs));
        set(offsetof(NetcRun, batch), given.batch != nullptr ? given.batch : b_.getInt64(1));
        set(offsetof(NetcRun, hyper), given.hyper);
        set(offsetof(NetcRun, seed), given.seed != nullptr ? given.seed : b_.getInt64(0));
        call_and_return("netc_object_run", b_.getInt32Ty(),
                        {argument(0), b_.getInt32(entry), run, in_stream ? argument(1) : null(),
                         b_.getInt32(in_stream)});
    }

    // The handle and, in a stream, that stand before the rest. Gives the number of the first argument behind them.
    std::size_t begin_form(const std::string& name, bool in_stream,
                           std::vector<llvm::Type*> types) {
        types.insert(types.begin(), in_stream ? 2 : 1, pointer());
        begin(in_stream ? name + "_on" : name, b_.getInt32Ty(), types);
        return in_stream ? 2 : 1;
    }
    std::vector<llvm::Type*> pointers(std::size_t count) { return {count, pointer()}; }

    void init(bool in_stream) {
        const std::size_t at =
            begin_form("_init", in_stream, {pointer(), pointer(), b_.getInt64Ty()});
        run(NETC_INIT, in_stream,
            {.weights = argument(at), .optimizer = argument(at + 1), .seed = argument(at + 2)});
    }

    void prepare(bool in_stream) {
        const std::size_t at = begin_form("_prepare", in_stream, pointers(2));
        run(NETC_PREPARE, in_stream, {.weights = argument(at), .prepared = argument(at + 1)});
    }

    void forward(bool in_stream) {
        const Entry& entry = *program_.find("forward");
        const std::size_t inputs = entry.inputs.size(), outputs = entry.outputs.size();
        std::vector<llvm::Type*> types = pointers(1 + inputs + outputs);
        types.insert(types.end(), {b_.getInt64Ty(), pointer()});
        const std::size_t at = begin_form("_forward", in_stream, types);
        const std::size_t behind = at + 1 + inputs + outputs;
        run(NETC_FORWARD, in_stream,
            {.prepared = argument(at),
             .workspace = argument(behind + 1),
             .batch = argument(behind),
             .inputs = arguments(at + 1, inputs),
             .outputs = arguments(at + 1 + inputs, outputs)});
    }

    void train_step(bool in_stream) {
        const std::size_t inputs = program_.find("train_step")->inputs.size();
        std::vector<llvm::Type*> types = pointers(2 + inputs);
        types.insert(types.end(), {b_.getInt64Ty(), pointer(), pointer(), pointer()});
        const std::size_t at = begin_form("_train_step", in_stream, types);
        const std::size_t behind = at + 2 + inputs;
        run(NETC_TRAIN_STEP, in_stream,
            {.weights = argument(at),
             .optimizer = argument(at + 1),
             .workspace = argument(behind + 2),
             .batch = argument(behind),
             .hyper = argument(behind + 1),
             .inputs = arguments(at + 2, inputs),
             .outputs = {argument(behind + 3)}});
    }

    void gradient(bool in_stream) {
        const std::size_t inputs = program_.find("gradient")->inputs.size();
        std::vector<llvm::Type*> types = pointers(1 + inputs);
        types.insert(types.end(), {b_.getInt64Ty(), pointer(), pointer(), pointer(), pointer()});
        const std::size_t at = begin_form("_gradient", in_stream, types);
        const std::size_t behind = at + 1 + inputs;
        run(NETC_GRADIENT, in_stream,
            {.weights = argument(at),
             .workspace = argument(behind + 2),
             .gradients = argument(behind + 4),
             .batch = argument(behind),
             .hyper = argument(behind + 1),
             .inputs = arguments(at + 1, inputs),
             .outputs = {argument(behind + 3)}});
    }

    llvm::Module& module_;
    const Program& program_;
    const ObjectOptions& options_;
    llvm::IRBuilder<> b_;
    llvm::Function* function_ = nullptr;
    llvm::Constant *table_ = nullptr, *ptx_ = nullptr;
};

}  // namespace

void add_gpu_functions(llvm::Module& module, const Program& program, const std::string& table,
                       const std::string& ptx, const ObjectOptions& options) {
    GpuFunctions(module, program, options).add_all(table, ptx);
}

}  // namespace netc
