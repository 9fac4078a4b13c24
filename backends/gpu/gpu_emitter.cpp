// Scalars, memory and control of one thread; see the header.
#include "backends/gpu/gpu_emitter.h"

#include <algorithm>
#include <limits>

#include <llvm/ADT/ScopeExit.h>

#include "backends/scalar_ops.h"

namespace netc {

GpuEmitter::GpuEmitter(const Kernel& kernel, std::int64_t batch_hint, DeviceOps& ops,
                       llvm::Module& module)
    : kernel_(kernel), batch_hint_(batch_hint), ops_(ops), module_(module),
      context_(module.getContext()), builder_(context_), coordinate_(kernel.axes.size()) {}

void GpuEmitter::fail(const std::string& message) {
    if (!error_) error_ = Error{kExitInternal, "no code for a GPU: " + message};
}

void GpuEmitter::begin(const std::string& name, int threads, bool many_registers,
                       std::size_t tensor_maps) {
    llvm::SmallVector<llvm::Type*, 8> types(kernel_.params.size(),
                                            builder_.getPtrTy(ops_.global_space()));
    types.push_back(builder_.getInt32Ty());
    types.push_back(builder_.getPtrTy(ops_.global_space()));
    function_ = ops_.begin_kernel(module_, name, types, threads, many_registers,
                                  static_cast<unsigned>(tensor_maps));
    builder_.SetInsertPoint(function_->empty()
                                ? llvm::BasicBlock::Create(context_, "entry", function_)
                                : &function_->getEntryBlock());
    find_dependencies();
}

Status GpuEmitter::finish() {
    if (error_) return *error_;
    builder_.CreateRetVoid();
    return {};
}

llvm::Value* GpuEmitter::extent_value(Extent extent) {
    llvm::Value* batch = ops_.parameter(static_cast<unsigned>(kernel_.params.size()));
    if (extent.is_static()) return number(extent.at(0));
    llvm::Value* value =
        extent.per_batch == 1 ? batch : builder_.CreateMul(batch, number(extent.per_batch));
    if (const std::int64_t more = extent.constant + extent.divisor - 1; more != 0)
        value = builder_.CreateAdd(value, number(more));
    return divide(value, extent.divisor, true);
}

llvm::Value* GpuEmitter::divide(llvm::Value* value, std::int64_t divisor, bool nonnegative) {
    if (divisor == 1) return value;
    if (nonnegative) return builder_.CreateUDiv(value, number(divisor));
    llvm::Value* rest = modulo(value, divisor, false);
    return builder_.CreateSDiv(builder_.CreateSub(value, rest), number(divisor));
}

llvm::Value* GpuEmitter::modulo(llvm::Value* value, std::int64_t divisor, bool nonnegative) {
    if (divisor == 1) return number(0);
    if (nonnegative) return builder_.CreateURem(value, number(divisor));
    llvm::Value* rest = builder_.CreateSRem(value, number(divisor));
    return builder_.CreateSelect(builder_.CreateICmpSLT(rest, number(0)),
                                 builder_.CreateAdd(rest, number(divisor)), rest);
}

// No more than the least value that the index takes; axes are not negative.
std::int64_t GpuEmitter::least(const Index& index) const {
    constexpr std::int64_t kNone = std::numeric_limits<std::int32_t>::min();
    std::int64_t sum = index.constant();
    for (const IndexTerm& term : index.terms()) {
        if (term.coefficient > 0) {
            if (term.kind == IndexTerm::Kind::floor_div && least(term.inner[0]) < 0)
                sum += term.coefficient * (least(term.inner[0]) / term.divisor - 1);
            continue;
        }
        std::int64_t most = kNone;
        if (term.kind == IndexTerm::Kind::mod) {
            most = term.divisor - 1;
        } else if (term.kind == IndexTerm::Kind::axis) {
            if (const auto extent = static_extent(term.axis)) most = *extent - 1;
        } else if (const auto range =
                       range_of(term.inner[0], [&](AxisId axis) { return static_extent(axis); })) {
            most = range->high / term.divisor;
        }
        if (most == kNone) return kNone;
        sum += term.coefficient * most;
    }
    return sum;
}

llvm::Value* GpuEmitter::index_value(const Index& index) {
    llvm::Value* sum = nullptr;
    for (const IndexTerm& term : index.terms()) {
        llvm::Value* value = nullptr;
        if (term.kind == IndexTerm::Kind::axis) {
            value = coordinate_[term.axis];
            if (value == nullptr) {
                fail("an axis is used outside of its loop");
                return number(0);
            }
        } else {
            llvm::Value* inner = index_value(term.inner[0]);
            const bool nonnegative = least(term.inner[0]) >= 0;
            value = term.kind == IndexTerm::Kind::floor_div
                        ? divide(inner, term.divisor, nonnegative)
                        : modulo(inner, term.divisor, nonnegative);
        }
        if (term.coefficient != 1) value = builder_.CreateNSWMul(value, number(term.coefficient));
        sum = sum == nullptr ? value : builder_.CreateNSWAdd(sum, value);
    }
    if (sum == nullptr) return number(index.constant());
    return index.constant() == 0 ? sum : builder_.CreateNSWAdd(sum, number(index.constant()));
}

llvm::Value* GpuEmitter::inside(llvm::Value* position, Extent limit) {
    return builder_.CreateICmpULT(position, extent_value(limit));
}

llvm::Value* GpuEmitter::both(llvm::Value* a, llvm::Value* b) {
    if (a == nullptr) return b;
    return b == nullptr ? a : builder_.CreateAnd(a, b);
}

llvm::Value* GpuEmitter::holds(const Guard& guard) {
    llvm::Value* position = index_value(guard.index);
    const bool nonnegative = least(guard.index) >= 0;
    if (guard.divisor == 1) return inside(position, guard.limit);
    llvm::Value* divides =
        builder_.CreateICmpEQ(modulo(position, guard.divisor, nonnegative), number(0));
    return builder_.CreateAnd(divides,
                              inside(divide(position, guard.divisor, nonnegative), guard.limit));
}

// ---- control ----------------------------------------------------------------------------------------

void GpuEmitter::loop(llvm::Value* from, llvm::Value* to, llvm::Value* step,
                      llvm::function_ref<void(llvm::Value*)> body, unsigned unroll) {
    llvm::BasicBlock* before = builder_.GetInsertBlock();
    auto* head = llvm::BasicBlock::Create(context_, "loop", function_);
    auto* end = llvm::BasicBlock::Create(context_, "end", function_);
    builder_.CreateCondBr(builder_.CreateICmpSLT(from, to), head, end);
    builder_.SetInsertPoint(head);
    llvm::PHINode* counter = builder_.CreatePHI(builder_.getInt32Ty(), 2);
    counter->addIncoming(from, before);
    enter();
    body(counter);
    leave();
    llvm::Value* next = builder_.CreateNSWAdd(counter, step);
    counter->addIncoming(next, builder_.GetInsertBlock());
    auto* branch = builder_.CreateCondBr(builder_.CreateICmpSLT(next, to), head, end);
    if (unroll > 0) {
        llvm::SmallVector<llvm::Metadata*, 2> parts{nullptr};
        llvm::Metadata* const count[] = {llvm::MDString::get(context_, "llvm.loop.unroll.count"),
                                         llvm::ConstantAsMetadata::get(builder_.getInt32(unroll))};
        parts.push_back(llvm::MDNode::get(context_, count));
        llvm::MDNode* node = llvm::MDNode::getDistinct(context_, parts);
        node->replaceOperandWith(0, node);
        branch->setMetadata(llvm::LLVMContext::MD_loop, node);
    }
    builder_.SetInsertPoint(end);
}

void GpuEmitter::if_then(llvm::Value* condition, Body body) {
    if (condition == nullptr) return body();
    if_then_else(condition, body, [] {});
}

void GpuEmitter::if_then_else(llvm::Value* condition, Body then, Body otherwise) {
    auto* yes = llvm::BasicBlock::Create(context_, "then", function_);
    auto* no = llvm::BasicBlock::Create(context_, "else", function_);
    auto* end = llvm::BasicBlock::Create(context_, "end", function_);
    builder_.CreateCondBr(condition, yes, no);
    builder_.SetInsertPoint(yes);
    enter();
    then();
    leave();
    builder_.CreateBr(end);
    builder_.SetInsertPoint(no);
    enter();
    otherwise();
    leave();
    builder_.CreateBr(end);
    builder_.SetInsertPoint(end);
}

llvm::AllocaInst* GpuEmitter::variable(llvm::Type* type, const llvm::Twine& name,
                                       std::int64_t count) {
    llvm::IRBuilder<> entry(&function_->getEntryBlock(), function_->getEntryBlock().begin());
    llvm::Type* shape =
        count == 1 ? type : llvm::ArrayType::get(type, static_cast<std::uint64_t>(count));
    return entry.CreateAlloca(shape, nullptr, name);
}

// ---- scalars ------------------------------------------------------------------------------------------

namespace {

void collect(const Index& index, std::vector<bool>& axes) {
    for (const IndexTerm& term : index.terms()) {
        if (term.kind == IndexTerm::Kind::axis) {
            axes[term.axis] = true;
        } else {
            collect(term.inner[0], axes);
        }
    }
}

}  // namespace

void GpuEmitter::find_dependencies() {
    const std::size_t count = kernel_.scalars.size();
    std::vector<std::vector<bool>> axes(count, std::vector<bool>(kernel_.axes.size()));
    has_state_.assign(count, false);
    for (ScalarId id = 0; id < count; ++id) {  // operands come first
        const Scalar& scalar = kernel_.scalars[id];
        const auto take = [&](ScalarId from) {
            for (std::size_t axis = 0; axis < axes[id].size(); ++axis)
                if (axes[from][axis]) axes[id][axis] = true;
            if (has_state_[from]) has_state_[id] = true;
        };
        for (ScalarId operand : scalar.operands) take(operand);
        const auto which = static_cast<std::size_t>(scalar.integer);
        if (scalar.op == ScalarOp::read) {
            const Read& read = kernel_.reads[which];
            for (const Index& index : read.index) collect(index, axes[id]);
            if (read.source.kind == Buffer::Kind::local)
                for (AxisId axis : kernel_.outer) axes[id][axis] = true;
            if (read.indirect >= 0) take(read.position);
        }
        if (scalar.op == ScalarOp::index) collect(kernel_.indices[which], axes[id]);
        if (scalar.op == ScalarOp::state || scalar.op == ScalarOp::other) has_state_[id] = true;
    }
    depends_.resize(count);
    for (ScalarId id = 0; id < count; ++id)
        for (AxisId axis = 0; axis < kernel_.axes.size(); ++axis)
            if (axes[id][axis]) depends_[id].push_back(axis);
}

GpuEmitter::Key GpuEmitter::key_of(ScalarId id) const {
    Key key{id};
    if (has_state_[id]) key.push_back(epoch_);
    key.push_back(reinterpret_cast<std::uintptr_t>(mask_));
    for (AxisId axis : depends_[id])
        key.push_back(reinterpret_cast<std::uintptr_t>(coordinate_[axis]));
    return key;
}

void GpuEmitter::set_state(Values states) {
    states_ = std::move(states);
    ++epoch_;
}

llvm::Value* GpuEmitter::evaluate(ScalarId id) {
    const Scalar& scalar = kernel_.scalars[id];
    const auto which = static_cast<std::size_t>(scalar.integer);
    switch (scalar.op) {
        case ScalarOp::constant:
            return is_float(scalar.type) ? number_constant(context_, scalar.type, scalar.number)
                                         : integer_constant(context_, scalar.type, scalar.integer);
        case ScalarOp::batch:
            return builder_.CreateSExtOrTrunc(extent_value({1, 0}),
                                              value_type(context_, scalar.type));
        case ScalarOp::state:
        case ScalarOp::other: {
            const Values& values = scalar.op == ScalarOp::state ? states_ : others_;
            if (which < values.size()) return values[which];
            fail("a state is used outside of its reduction");
            return llvm::Constant::getNullValue(value_type(context_, scalar.type));
        }
        default: break;
    }
    llvm::Value* const mask = mask_;
    // What cannot be outside is the same under any condition.
    if (scalar.op == ScalarOp::read && always_inside(kernel_.reads[which])) mask_ = nullptr;
    const auto restore = llvm::make_scope_exit([&] { mask_ = mask; });
    Key key = key_of(id);
    for (std::size_t k = memo_.size(); k-- > 0;) {
        const auto found = memo_[k].find(key);
        if (found != memo_[k].end()) return found->second;
    }
    llvm::Value* value = nullptr;
    if (scalar.op == ScalarOp::read) {
        value = read(kernel_.reads[which]);
    } else if (scalar.op == ScalarOp::index) {
        value = builder_.CreateSExtOrTrunc(index_value(kernel_.indices[which]),
                                           value_type(context_, scalar.type));
    } else {
        Values operands = evaluate_all(scalar.operands);
        std::vector<DType> types;
        for (ScalarId operand : scalar.operands) types.push_back(kernel_.scalars.type(operand));
        const std::vector<double>* table =
            scalar.op == ScalarOp::lookup ? &kernel_.tables[which] : nullptr;
        value = emit_operation(builder_, TableLookup::memory, scalar, operands, types, table);
    }
    if (value == nullptr) {
        fail(std::string("the scalar operation ") + name_of(scalar.op));
        return llvm::Constant::getNullValue(value_type(context_, scalar.type));
    }
    memo_.back()[std::move(key)] = value;
    return value;
}

// Whether the ranges of the axes say that every index is within its dim.
bool GpuEmitter::always_inside(const Read& read) const {
    if (read.source.kind != Buffer::Kind::param || read.indirect >= 0) return false;
    const Param& param = kernel_.params[read.source.index];
    const auto extent = [&](AxisId axis) { return static_extent(axis); };
    for (std::size_t dim = 0; dim < read.index.size(); ++dim) {
        const Index& index = read.index[dim];
        if (index.terms().size() == 1 && index.is_axis(index.terms()[0].axis) &&
            extent_of(index.terms()[0].axis) == param.dims[dim])
            continue;
        const auto range = range_of(index, extent);
        if (!range || range->low < 0 || !param.dims[dim].is_static() ||
            range->high >= param.dims[dim].constant)
            return false;
    }
    return true;
}

GpuEmitter::Values GpuEmitter::evaluate_all(const std::vector<ScalarId>& ids) {
    Values values;
    for (ScalarId id : ids) values.push_back(evaluate(id));
    return values;
}

}  // namespace netc
