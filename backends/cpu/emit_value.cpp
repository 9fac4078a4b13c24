// Scalars at the current point, each computed once for all points that share it.
#include "backends/cpu/kernel_emitter.h"
#include "backends/emit_lookup.h"
#include "backends/scalar_ops.h"

namespace netc {
namespace {

void collect(const Index& index, std::uint64_t& axes) {
    for (const IndexTerm& term : index.terms()) {
        if (term.kind == IndexTerm::Kind::axis) {
            axes |= std::uint64_t{1} << term.axis;
        } else {
            collect(term.inner[0], axes);
        }
    }
}

}  // namespace

// The axes whose coordinates a scalar's value depends on. States differ from point to point.
void KernelEmitter::find_dependencies() {
    if (kernel_.axes.size() > 64) return fail("a kernel has more than 64 axes");
    std::uint64_t outer = 0;
    for (AxisId axis : kernel_.outer) outer |= std::uint64_t{1} << axis;
    depends_.assign(kernel_.scalars.size(), 0);
    read_depends_.assign(kernel_.reads.size(), 0);
    bool changed = true;
    while (changed) {
        changed = false;
        for (std::size_t i = 0; i < kernel_.reads.size(); ++i) {
            const Read& read = kernel_.reads[i];
            std::uint64_t axes = read.source.kind == Buffer::Kind::local ? outer : 0;
            for (const Index& index : read.index) collect(index, axes);
            if (read.indirect >= 0) axes |= depends_[read.position];
            changed = changed || axes != read_depends_[i];
            read_depends_[i] = axes;
        }
        for (ScalarId id = 0; id < kernel_.scalars.size(); ++id) {
            const Scalar& scalar = kernel_.scalars[id];
            std::uint64_t axes = 0;
            for (ScalarId operand : scalar.operands) axes |= depends_[operand];
            const auto number = static_cast<std::size_t>(scalar.integer);
            if (scalar.op == ScalarOp::read) axes |= read_depends_[number];
            if (scalar.op == ScalarOp::index) collect(kernel_.indices[number], axes);
            if (scalar.op == ScalarOp::state || scalar.op == ScalarOp::other)
                axes = ~std::uint64_t{0};
            changed = changed || axes != depends_[id];
            depends_[id] = axes;
        }
    }
}

std::uint64_t KernelEmitter::memo_key(ScalarId id) const {
    std::uint64_t point = 0;
    for (std::size_t axis = 0; axis < coordinate_.size(); ++axis) {
        if (((depends_[id] >> axis) & 1) != 0) {
            point += static_cast<std::uint64_t>(coordinate_[axis]) * weight_[axis];
        }
    }
    return (static_cast<std::uint64_t>(id) << 40) | point;
}

void KernelEmitter::remember(ScalarId id, Element element) { memo_.back()[memo_key(id)] = element; }

void KernelEmitter::enter(llvm::Instruction* preheader_end) {
    arithmetic_.enter(preheader_end);
    memo_.emplace_back();
}

void KernelEmitter::leave() {
    arithmetic_.leave();
    memo_.pop_back();
}

llvm::Value* KernelEmitter::as_vector(const Element& element, unsigned width) {
    if (element.value->getType()->isVectorTy()) return element.value;
    return builder_.CreateVectorSplat(width, element.value);
}

Element KernelEmitter::evaluate_index(const Scalar& scalar) {
    const Linear value = linear(kernel_.indices[static_cast<std::size_t>(scalar.integer)]);
    llvm::Type* type = value_type(context_, scalar.type);
    if (value.is_scalar()) return {builder_.CreateTrunc(arithmetic_.scalar(value), type), false};
    return {
        builder_.CreateTrunc(arithmetic_.vector(value), llvm::FixedVectorType::get(type, kLanes)),
        true};
}

// Of a choice by a comparison of places, whether all points that code is being made for answer alike.
std::optional<bool> KernelEmitter::known_choice(const Scalar& choice) {
    if (choice.op != ScalarOp::select) return std::nullopt;
    const Scalar& question = kernel_.scalars[choice.operands[0]];
    if (question.op != ScalarOp::less && question.op != ScalarOp::less_equal) return std::nullopt;
    const auto range_of = [&](ScalarId id) -> std::optional<Range> {
        const Scalar& scalar = kernel_.scalars[id];
        if (scalar.op == ScalarOp::constant && !is_float(scalar.type))
            return Range{scalar.integer, scalar.integer};
        if (scalar.op != ScalarOp::index) return std::nullopt;
        return arithmetic_.range(linear(kernel_.indices[static_cast<std::size_t>(scalar.integer)]));
    };
    const auto left = range_of(question.operands[0]);
    const auto right = range_of(question.operands[1]);
    if (!left || !right) return std::nullopt;
    const std::int64_t slack = question.op == ScalarOp::less ? 1 : 0;
    if (left->high + slack <= right->low) return true;
    if (left->low + slack > right->high) return false;
    return std::nullopt;
}

// Several elements of tables at the same place: all are made at once, and remembered.
bool KernelEmitter::look_up_together(ScalarId id) {
    constexpr std::size_t kWorthIt = 3;
    if (machine_.table_lookup == TableLookup::avx512) return false;
    const ScalarId index = kernel_.scalars[id].operands[0];
    std::vector<ScalarId> together;
    std::vector<const LookupTable*> tables;
    for (ScalarId other = 0; other < kernel_.scalars.size(); ++other) {
        const Scalar& scalar = kernel_.scalars[other];
        if (scalar.op != ScalarOp::lookup || scalar.operands[0] != index ||
            scalar.type != DType::f32)
            continue;
        together.push_back(other);
        tables.push_back(&kernel_.tables[static_cast<std::size_t>(scalar.integer)]);
    }
    if (together.size() < kWorthIt || kernel_.scalars[id].type != DType::f32) return false;
    const Element where = evaluate(index);
    if (error_ || !where.vector) return false;
    const auto* lanes = llvm::cast<llvm::FixedVectorType>(where.value->getType());
    if (lanes->getNumElements() % 8 != 0) return false;
    const std::vector<llvm::Value*> found = emit_lookups(builder_, where.value, tables);
    for (std::size_t i = 0; i < together.size(); ++i) remember(together[i], {found[i], true});
    return true;
}

Element KernelEmitter::evaluate_operation(const Scalar& scalar) {
    std::vector<Element> elements;
    std::vector<DType> types;
    unsigned width = 0;
    for (ScalarId operand : scalar.operands) {
        elements.push_back(evaluate(operand));
        if (error_) return {};
        types.push_back(kernel_.scalars.type(operand));
        llvm::Type* type = elements.back().value->getType();
        if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type))
            width = vector->getNumElements();
    }
    std::vector<llvm::Value*> operands;
    for (const Element& element : elements) {
        operands.push_back(width > 0 ? as_vector(element, width) : element.value);
    }
    const std::vector<double>* table =
        scalar.op == ScalarOp::lookup ? &kernel_.tables[static_cast<std::size_t>(scalar.integer)]
                                      : nullptr;
    llvm::Value* value =
        emit_operation(builder_, machine_.table_lookup, scalar, operands, types, table);
    if (value == nullptr)
        fail(std::string("no code for the scalar operation ") + name_of(scalar.op));
    return {value, width > 0};
}

// Where nothing that was remembered elsewhere holds: terms of matrix units are no coordinates.
Element KernelEmitter::evaluate_apart(ScalarId id) {
    std::vector<std::unordered_map<std::uint64_t, Element>> memo(1);
    std::swap(memo, memo_);
    const Element element = evaluate(id);
    std::swap(memo, memo_);
    return element;
}

Element KernelEmitter::evaluate(ScalarId id) {
    if (error_) return {};
    const std::uint64_t key = memo_key(id);
    for (std::size_t i = memo_.size(); i-- > 0;) {
        const auto found = memo_[i].find(key);
        if (found != memo_[i].end()) return found->second;
    }
    const Scalar& scalar = kernel_.scalars[id];
    const auto number = static_cast<std::size_t>(scalar.integer);
    if (scalar.op == ScalarOp::constant) {
        return {is_float(scalar.type) ? number_constant(context_, scalar.type, scalar.number)
                                      : integer_constant(context_, scalar.type, scalar.integer),
                false};
    }
    if (scalar.op == ScalarOp::batch) return {extent_value(Extent{1, 0}), false};
    if (scalar.op == ScalarOp::state || scalar.op == ScalarOp::other) {
        const auto& states = scalar.op == ScalarOp::state ? state_here_ : other_here_;
        if (number < states.size()) return states[number];
        fail("a state is used outside of its reduction");
        return {};
    }
    Element result;
    if (scalar.op == ScalarOp::read) {
        result = read(kernel_.reads[number], static_cast<std::uint32_t>(number), id);
    } else if (scalar.op == ScalarOp::index) {
        result = evaluate_index(scalar);
    } else if (const auto answer = known_choice(scalar)) {
        result = evaluate(scalar.operands[*answer ? 1 : 2]);
    } else if (scalar.op == ScalarOp::lookup && look_up_together(id)) {
        return evaluate(id);
    } else {
        result = evaluate_operation(scalar);
    }
    if (error_) return {};
    remember(id, result);
    return result;
}

}  // namespace netc
