// Reads and stores of one thread.
#include "backends/gpu/gpu_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {

llvm::Value* GpuEmitter::global_address(std::uint32_t param, llvm::Value* offset) {
    return builder_.CreateInBoundsGEP(memory_type(context_, kernel_.params[param].dtype),
                                      ops_.parameter(param),
                                      builder_.CreateSExt(offset, builder_.getInt64Ty()));
}

GpuEmitter::Place GpuEmitter::place_of(const Param& param, const std::vector<Index>& index,
                                       std::int32_t indirect, llvm::Value* position, bool checks) {
    const std::vector<Extent> steps = strides(param);
    Place place;
    for (std::size_t dim = 0; dim < index.size(); ++dim) {
        llvm::Value* at = nullptr;
        const bool from_data = indirect == static_cast<std::int32_t>(dim);
        if (from_data) {
            // Compared with its own width: a large number must not wrap into the range.
            llvm::Value* wide = builder_.CreateSExt(position, builder_.getInt64Ty());
            llvm::Value* limit =
                builder_.CreateZExt(extent_value(param.dims[dim]), wide->getType());
            place.bad = builder_.CreateNot(builder_.CreateICmpULT(wide, limit));
            at = builder_.CreateSelect(place.bad, number(0),
                                       builder_.CreateTrunc(wide, builder_.getInt32Ty()));
        } else {
            at = index_value(index[dim]);
            if (checks) place.inside = both(place.inside, inside(at, param.dims[dim]));
        }
        const bool nonnegative = from_data || checks || least(index[dim]) >= 0;
        llvm::Value* part = nullptr;
        if (dim == 0 && param.layout.lanes) {
            part = builder_.CreateNSWAdd(
                builder_.CreateNSWMul(divide(at, kLanes, nonnegative), extent_value(steps[dim])),
                modulo(at, kLanes, nonnegative));
        } else {
            part = steps[dim] == Extent{0, 1} ? at
                                              : builder_.CreateNSWMul(at, extent_value(steps[dim]));
        }
        place.offset = place.offset == nullptr ? part : builder_.CreateNSWAdd(place.offset, part);
    }
    if (place.offset == nullptr) place.offset = number(0);
    return place;
}

llvm::Value* GpuEmitter::address_of(const Read& read, llvm::Value* used) {
    const Place place = place_of(kernel_.params[read.source.index], read.index, -1, nullptr, false);
    llvm::Value* offset = place.offset;
    if (used != nullptr) offset = builder_.CreateSelect(used, offset, number(0));
    return global_address(read.source.index, offset);
}

void GpuEmitter::raise_fault(llvm::Value* bad) {
    if_then(both(both(bad, active_), mask_), [&] {
        builder_.CreateStore(builder_.getInt32(1),
                             ops_.parameter(static_cast<unsigned>(kernel_.params.size()) + 1));
    });
}

std::int64_t GpuEmitter::local_size(std::uint32_t local) const {
    std::int64_t size = 1;
    for (std::int64_t dim : kernel_.locals[local].dims) size *= dim;
    return size;
}

llvm::Value* GpuEmitter::local_offset(std::uint32_t local, const std::vector<Index>& index) {
    llvm::Value* offset = number(0);
    for (std::size_t dim = 0; dim < index.size(); ++dim) {
        offset =
            builder_.CreateAdd(builder_.CreateMul(offset, number(kernel_.locals[local].dims[dim])),
                               index_value(index[dim]));
    }
    return offset;
}

llvm::Value* GpuEmitter::read(const Read& read) {
    if (read.source.kind == Buffer::Kind::local) {
        if (read.outside != Outside::zero && read.indirect < 0)
            return load_local(read.source.index, local_offset(read.source.index, read.index));
        fail("a local is read with a condition");
        return llvm::Constant::getNullValue(
            value_type(context_, kernel_.locals[read.source.index].dtype));
    }
    const auto number_of_read = static_cast<std::size_t>(&read - kernel_.reads.data());
    if (llvm::Value* cached = read_cached(number_of_read)) return cached;
    const Param& param = kernel_.params[read.source.index];
    llvm::Value* position = read.indirect >= 0 ? evaluate(read.position) : nullptr;
    const Place place =
        place_of(param, read.index, read.indirect, position, read.outside != Outside::never);
    llvm::Value* offset = place.offset;
    if (llvm::Value* used = both(place.inside, mask_))
        offset = builder_.CreateSelect(used, offset, number(0));
    llvm::Type* type = memory_type(context_, param.dtype);
    llvm::Value* value = builder_.CreateLoad(type, global_address(read.source.index, offset));
    if (param.dtype == DType::b1) value = builder_.CreateTrunc(value, builder_.getInt1Ty());
    llvm::Value* zero = llvm::Constant::getNullValue(value->getType());
    if (place.inside != nullptr) value = builder_.CreateSelect(place.inside, value, zero);
    if (place.bad != nullptr) {
        raise_fault(place.bad);
        llvm::Value* nothing = zero;
        if (is_float(param.dtype))
            nothing =
                number_constant(context_, param.dtype, std::numeric_limits<double>::quiet_NaN());
        value = builder_.CreateSelect(place.bad, nothing, value);
    }
    return value;
}

void GpuEmitter::store(const Store& store, llvm::Value* value, llvm::Value* position,
                       llvm::Value* allowed) {
    if (store.target.kind == Buffer::Kind::local) {
        // Locals are the thread's, or its team's: a place that does not exist may write them.
        return store_local(store.target.index, local_offset(store.target.index, store.index),
                           value);
    }
    const Param& param = kernel_.params[store.target.index];
    const Place place = place_of(param, store.index, store.indirect, position, store.clipped);
    allowed = both(allowed, place.inside);
    if (place.bad != nullptr) {
        raise_fault(both(allowed, place.bad));
        allowed = both(allowed, builder_.CreateNot(place.bad));
    }
    if (param.dtype == DType::b1) value = builder_.CreateZExt(value, builder_.getInt8Ty());
    if_then(allowed, [&] {
        llvm::Value* address = global_address(store.target.index, place.offset);
        llvm::Value* result = value;
        if (store.indirect >= 0) {  // the order of the additions is that of the loops around
            llvm::Value* before = builder_.CreateLoad(value->getType(), address);
            result = is_float(param.dtype) ? builder_.CreateFAdd(before, value)
                                           : builder_.CreateAdd(before, value);
        }
        builder_.CreateStore(result, address);
    });
}

void GpuEmitter::store_all(const Stage& stage, llvm::Value* allowed) {
    Values values, positions;
    for (const Store& store : stage.stores) {
        values.push_back(evaluate(store.value));
        positions.push_back(store.indirect >= 0 ? evaluate(store.position) : nullptr);
    }
    for (std::size_t k = 0; k < stage.stores.size(); ++k)
        store(stage.stores[k], values[k], positions[k], allowed);
}

}  // namespace netc
