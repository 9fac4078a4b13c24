// Memory: where an element lies, reads of params, locals and packed copies.
#include <algorithm>
#include <cmath>

#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {

Linear KernelEmitter::axis_value(AxisId axis) {
    Linear value = base_[axis];
    const bool vector = vector_axis_ == axis;
    value.constant += coordinate_[axis] * (vector ? kLanes : 1);
    if (vector && lane_) {
        value.constant += *lane_;
    } else if (vector) {
        value.lane += 1;
    }
    return value;
}

Linear KernelEmitter::linear(const Index& index) {
    Linear sum = arithmetic_.constant(index.constant());
    for (const IndexTerm& term : index.terms()) {
        Linear value;
        switch (term.kind) {
            case IndexTerm::Kind::axis: value = axis_value(term.axis); break;
            case IndexTerm::Kind::floor_div:
                value = arithmetic_.floor_div(linear(term.inner[0]), term.divisor);
                break;
            case IndexTerm::Kind::mod:
                value = arithmetic_.floor_mod(linear(term.inner[0]), term.divisor);
                break;
        }
        sum = arithmetic_.add(sum, arithmetic_.scale(value, term.coefficient));
    }
    return sum;
}

// Elements from the start of the buffer.
Linear KernelEmitter::offset_in(const Param& param, const std::vector<Linear>& index) {
    Linear offset;
    // From the innermost dim outwards; a stride is a number times a run-time extent, if there is one.
    std::int64_t stride = param.layout.lanes ? kLanes : 1;
    llvm::Value* dynamic = nullptr;
    for (std::size_t i = param.layout.order.size(); i-- > 0;) {
        const auto dim = static_cast<std::size_t>(param.layout.order[i]);
        if (param.layout.lanes && i == 0) {
            Linear block = arithmetic_.scale(arithmetic_.floor_div(index[dim], kLanes), stride);
            if (dynamic != nullptr) block = arithmetic_.multiply(block, dynamic);
            offset = arithmetic_.add(offset, block);
            offset = arithmetic_.add(offset, arithmetic_.floor_mod(index[dim], kLanes));
            break;
        }
        if (i == spaced_position(param.layout) && param.layout.extra != 0) {
            if (dynamic != nullptr) {
                fail("a layout has extra elements behind rows of variable length");
            }
            stride += param.layout.extra * (param.layout.lanes ? kLanes : 1);
        }
        Linear part = arithmetic_.scale(index[dim], stride);
        if (dynamic != nullptr) part = arithmetic_.multiply(part, dynamic);
        offset = arithmetic_.add(offset, part);
        const Extent extent = param.dims[dim];
        if (extent.is_static() || batch_) {
            stride *= extent.is_static() ? extent.constant : extent.at(*batch_);
        } else {
            llvm::Value* factor = extent_value(extent);
            dynamic = dynamic == nullptr ? factor : builder_.CreateMul(dynamic, factor);
        }
    }
    return offset;
}

// Whether a vector along the vector axis covers exactly the 16 samples of a block: then memory is there for
// all lanes.
bool KernelEmitter::fills_lanes(const Param& param, const std::vector<Index>& index) const {
    return param.layout.lanes && vector_axis_ && !index.empty() &&
           index[0].is_axis(*vector_axis_) && extent_of(*vector_axis_) == param.dims[0];
}

llvm::Value* KernelEmitter::mask_here() {
    llvm::Value* mask = guard_mask_;
    if (edge_ && vector_axis_ && coordinate_[*vector_axis_] == edge_coordinate_) {
        mask = mask == nullptr ? edge_mask_ : builder_.CreateAnd(mask, edge_mask_);
    }
    return mask;
}

std::uint64_t KernelEmitter::outer_point() const {
    std::uint64_t point = 0;
    for (const AxisTile& tile : schedule_.outer) {
        point = point * static_cast<std::uint64_t>(tile.tile) +
                static_cast<std::uint64_t>(coordinate_[tile.axis]);
    }
    return point;
}

// Of an element in the scratch of a local: [point of the tile][element][lane of the outer vector axis].
Linear KernelEmitter::local_bytes(std::uint32_t number, const std::vector<Index>& index) {
    const Local& local = kernel_.locals[number];
    Linear flat;
    std::int64_t elements = 1;
    for (std::size_t dim = 0; dim < index.size(); ++dim) {
        flat = arithmetic_.add(arithmetic_.scale(flat, local.dims[dim]), linear(index[dim]));
        elements *= local.dims[dim];
    }
    flat.constant += static_cast<std::int64_t>(outer_point()) * elements;
    const std::int64_t size = size_of(local.dtype);
    if (!schedule_.vector_axis) return arithmetic_.scale(flat, size);
    Linear bytes = arithmetic_.scale(flat, size * kLanes);
    bytes.lane += size;
    return bytes;
}

Element KernelEmitter::read_local(const Read& read) {
    const std::uint32_t number = read.source.index;
    LocalPlace& place = locals_[number];
    if (place.in_registers) {
        Linear flat;
        for (std::size_t dim = 0; dim < read.index.size(); ++dim) {
            flat = arithmetic_.add(arithmetic_.scale(flat, kernel_.locals[number].dims[dim]),
                                   linear(read.index[dim]));
        }
        const auto found = place.elements.find({outer_point(), flat.constant});
        if (!flat.is_constant() || found == place.elements.end()) {
            fail("a local is read before it is written");
            return {};
        }
        return found->second;
    }
    const Linear bytes = local_bytes(number, read.index);
    return load(place.memory, bytes, kernel_.locals[number].dtype, true);
}

void KernelEmitter::raise_fault(llvm::Value* bad) {
    if (bad->getType()->isVectorTy()) {
        if (llvm::Value* mask = mask_here()) bad = builder_.CreateAnd(bad, mask);
        bad = builder_.CreateOrReduce(bad);
    }
    if_then(bad,
            [&] { builder_.CreateAlignedStore(builder_.getInt32(1), fault_, llvm::Align(4)); });
}

// One dim of the index is data; outside of it the value is NaN (0 for integers).
Element KernelEmitter::read_indirect(const Read& read) {
    const Param& param = kernel_.params[read.source.index];
    const auto dim = static_cast<std::size_t>(read.indirect);
    const Element position = evaluate(read.position);
    if (error_) return {};
    llvm::Type* wide = builder_.getInt64Ty();
    if (position.vector) wide = llvm::FixedVectorType::get(wide, kLanes);
    llvm::Value* at = builder_.CreateSExtOrTrunc(position.value, wide);
    llvm::Value* limit = extent_value(param.dims[dim]);
    if (position.vector) limit = builder_.CreateVectorSplat(kLanes, limit);
    llvm::Value* good = builder_.CreateICmpULT(at, limit);
    raise_fault(builder_.CreateNot(good));
    llvm::Value* safe = builder_.CreateSelect(good, at, llvm::Constant::getNullValue(wide));
    std::vector<Linear> index;
    for (std::size_t d = 0; d < read.index.size(); ++d) {
        if (d != dim) {
            index.push_back(linear(read.index[d]));
        } else if (position.vector) {
            Linear varying;
            varying.vector = safe;
            index.push_back(varying);
        } else {
            index.push_back(arithmetic_.make_value(safe, {0, kUnbounded}));
        }
    }
    const Linear bytes = arithmetic_.scale(offset_in(param, index), size_of(param.dtype));
    const Element value = load(params_[read.source.index], bytes, param.dtype, false);
    llvm::Value* missing = is_float(param.dtype)
                               ? number_constant(context_, param.dtype, std::nan(""))
                               : integer_constant(context_, param.dtype, 0);
    if (value.vector) missing = builder_.CreateVectorSplat(kLanes, missing);
    return {builder_.CreateSelect(good, value.value, missing), value.vector};
}

// Whether the index is an axis that goes over all of a dim and no further, be it of the batch.
bool KernelEmitter::spans(const Index& index, Extent dim) const {
    return index.terms().size() == 1 && index.is_axis(index.terms()[0].axis) &&
           extent_of(index.terms()[0].axis) == dim;
}

Element KernelEmitter::read(const Read& read, std::uint32_t number, ScalarId node) {
    if (read.source.kind == Buffer::Kind::local) return read_local(read);
    if (read.indirect >= 0) return read_indirect(read);
    const Param& param = kernel_.params[read.source.index];
    const auto pack = packs_.find(number);
    if (pack != packs_.end() && pack->second.active) {
        const PackPlace& place = pack->second;
        Linear bytes;
        bytes.lane = size_of(param.dtype);
        bytes.constant = coordinate_[*vector_axis_] * kLanes * size_of(param.dtype);
        for (std::size_t k = 0; k < place.reduced.size(); ++k) {
            bytes = arithmetic_.add(
                bytes, arithmetic_.scale(axis_value(place.reduced[k]), place.strides[k]));
        }
        return load(place.memory, bytes, param.dtype, true);
    }
    std::vector<Linear> index;
    Condition condition;
    for (std::size_t dim = 0; dim < read.index.size(); ++dim) {
        index.push_back(linear(read.index[dim]));
        if (read.outside == Outside::zero && !spans(read.index[dim], param.dims[dim])) {
            condition = both(condition, inside(index.back(), param.dims[dim]));
        }
    }
    if (condition.never) {
        return {llvm::Constant::getNullValue(value_type(context_, param.dtype)), false};
    }
    llvm::Value* base = params_[read.source.index];
    Linear bytes = arithmetic_.scale(offset_in(param, index), size_of(param.dtype));
    const bool all_lanes = fills_lanes(param, read.index);
    llvm::Value* also = condition.lanes;
    if (condition.scalar != nullptr) {
        llvm::Value* all = builder_.CreateVectorSplat(kLanes, condition.scalar);
        also = also == nullptr ? all : builder_.CreateAnd(also, all);
    }
    if (read_transposed(read, node, bytes, also)) return evaluate(node);
    if (also == nullptr) return load(base, bytes, param.dtype, all_lanes);
    if (condition.scalar != nullptr) {
        // Outside, the first element is loaded and not used.
        Linear uniform = bytes;
        uniform.lane = 0;
        uniform.vector = nullptr;
        llvm::Value* safe = builder_.CreateSelect(condition.scalar, arithmetic_.scalar(uniform),
                                                  builder_.getInt64(0));
        Linear moved = arithmetic_.make_value(safe, {-kUnbounded, kUnbounded});
        moved.lane = bytes.lane;
        moved.vector = bytes.vector;
        bytes = moved;
    }
    Element value =
        load(base, bytes, param.dtype, all_lanes, condition.lanes != nullptr ? also : nullptr);
    llvm::Value* zero = llvm::Constant::getNullValue(value.value->getType());
    if (condition.scalar != nullptr) {
        value.value = builder_.CreateSelect(condition.scalar, value.value, zero);
    }
    if (condition.lanes != nullptr) {
        value = {builder_.CreateSelect(condition.lanes, as_vector(value),
                                       llvm::Constant::getNullValue(as_vector(value)->getType())),
                 true};
    }
    return value;
}

}  // namespace netc
