// What a tile stores: vectors along memory, past the caches where the schedule says so, across it through registers,
// parts of words together, elements one by one.
#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {

// All values of the tile first, then all stores, so that what they share is computed once.
void KernelEmitter::emit_stores() {
    const std::size_t states = stage_->reduction ? stage_->reduction->states.size() : 0;
    const std::vector<llvm::Value*> finished = states_;
    const auto set_states = [&](std::size_t point) {
        state_here_.clear();
        for (std::size_t k = 0; k < states; ++k) {
            llvm::Value* value = matrix_sums_ != nullptr ? finished_sum(point)
                                 : parked_ != nullptr    ? parked_sum(point * states + k)
                                                         : finished[point * states + k];
            state_here_.push_back({value, value->getType()->isVectorTy()});
        }
    };
    // Sums that lie in memory are taken one after the other: there are more than registers.
    if (matrix_sums_ != nullptr) {
        for_each_point([&](std::size_t point) {
            const auto evaluate_and_store = [&] {
                set_states(point);
                std::vector<Element> values;
                for (const Store& store : stage_->stores)
                    values.push_back(condition_of(store).never ? Element{} : evaluate(store.value));
                for (std::size_t i = 0; i < values.size() && !error_; ++i) {
                    const Store& store = stage_->stores[i];
                    past_caches_or_through(store, [&] { store_to(store, values[i]); });
                }
            };
            // Locals are kept of rows that are not there, too: nothing is read for them (rest_at_once).
            const bool keeps = std::ranges::all_of(stage_->stores, [](const Store& store) {
                return store.target.kind == Buffer::Kind::local;
            });
            const Condition there = row_is_there();
            if (!keeps && there.scalar != nullptr) {
                if_then(there.scalar, evaluate_and_store);
            } else {
                evaluate_and_store();
            }
        });
        state_here_.clear();
        return;
    }
    std::vector<std::vector<Element>> values(stage_->stores.size());
    for_each_point([&](std::size_t point) {
        set_states(point);
        for (std::size_t i = 0; i < stage_->stores.size(); ++i) {
            const Store& store = stage_->stores[i];
            if (store.indirect >= 0) continue;
            const bool made = !condition_of(store).never;
            values[i].push_back(made ? evaluate(store.value) : Element{});
        }
    });
    if (error_) return;
    for (std::size_t i = 0; i < stage_->stores.size(); ++i) {
        const Store& store = stage_->stores[i];
        if (const auto along = axis_of_rows(store)) {
            store_rows(store, *along, values[i]);
            continue;
        }
        past_caches_or_through(store, [&] {
            joins_words_ = !store.clipped && store.indirect < 0;
            for_each_point([&](std::size_t point) {
                if (store.indirect >= 0) {
                    set_states(point);
                    emit_scatter(store);
                } else {
                    store_to(store, values[i][point]);
                }
            });
            finish_word();
            joins_words_ = false;
        });
        if (error_) return;
    }
    state_here_.clear();
}

// target[.., position, ..] += value, dropped where the position is outside.
void KernelEmitter::emit_scatter(const Store& store) {
    const Param& param = kernel_.params[store.target.index];
    const Element value = evaluate(store.value);
    const Element position = evaluate(store.position);
    if (error_) return;
    if (position.vector || store.target.kind == Buffer::Kind::local) {
        return fail("a scatter's position differs between lanes");
    }
    const auto dim = static_cast<std::size_t>(store.indirect);
    llvm::Value* wide = builder_.CreateSExtOrTrunc(position.value, builder_.getInt64Ty());
    llvm::Value* good = builder_.CreateICmpULT(wide, extent_value(param.dims[dim]));
    raise_fault(builder_.CreateNot(good));
    if_then(good, [&] {
        std::vector<Linear> index;
        for (std::size_t d = 0; d < store.index.size(); ++d) {
            index.push_back(d == dim ? arithmetic_.make_value(wide, {0, kUnbounded})
                                     : linear(store.index[d]));
        }
        const Linear bytes = arithmetic_.scale(offset_in(param, index), size_of(param.dtype));
        llvm::Value* base = params_[store.target.index];
        const Element old = load(base, bytes, param.dtype, false);
        const bool vector = old.vector;
        llvm::Value* left = old.value;
        llvm::Value* right = vector ? as_vector(value) : value.value;
        llvm::Value* sum = is_float(param.dtype) ? builder_.CreateFAdd(left, right)
                                                 : builder_.CreateAdd(left, right);
        this->store(base, bytes, param.dtype, {sum, vector}, false);
    });
}

// Where an element of a param is stored.
Linear KernelEmitter::stored_bytes(const Store& store) {
    const Param& param = kernel_.params[store.target.index];
    std::vector<Linear> index;
    for (const Index& one : store.index) index.push_back(linear(one));
    return arithmetic_.scale(offset_in(param, index), size_of(param.dtype));
}

// The axis of the tile along which the results of each lane lie side by side, where those of a vector do not: vectors
// are then transposed in registers and stored as rows.
std::optional<AxisId> KernelEmitter::axis_of_rows(const Store& store) {
    if (store.target.kind == Buffer::Kind::local || store.clipped || store.indirect >= 0 ||
        !vector_axis_ || guard_mask_ != nullptr)
        return std::nullopt;
    const Param& param = kernel_.params[store.target.index];
    const std::int64_t size = size_of(param.dtype);
    // The last vector may have fewer lanes, if it is known how many.
    if (edge_ && !static_extent(*vector_axis_)) return std::nullopt;
    const Linear bytes = stored_bytes(store);
    if (bytes.is_scalar() || param.dtype == DType::b1 ||
        (bytes.vector == nullptr && bytes.lane == size) ||
        (is_part_of_word(param.dtype) && bytes.vector == nullptr && bytes.lane == 4))
        return std::nullopt;
    for (AxisId axis : point_axes_) {
        if (axis != *vector_axis_ && count_[axis] >= 2 && lies_in_rows(store, axis, count_[axis]))
            return axis;
    }
    return std::nullopt;
}

// Whether so many results of each lane lie side by side along the axis, from the point on that code is being made for.
bool KernelEmitter::lies_in_rows(const Store& store, AxisId axis, std::int64_t points) {
    const std::int64_t size = size_of(kernel_.params[store.target.index].dtype);
    const std::int64_t here = coordinate_[axis];
    bool side_by_side = true;
    for (lane_ = 0; *lane_ < kLanes && side_by_side; ++*lane_) {
        const Linear first = arithmetic_.scale(stored_bytes(store), -1);
        for (std::int64_t i = 1; i < points && side_by_side; ++i) {
            coordinate_[axis] = here + i;
            const Linear from_first = arithmetic_.add(stored_bytes(store), first);
            side_by_side = from_first.is_constant() && from_first.constant == i * size;
        }
        coordinate_[axis] = here;
    }
    lane_.reset();
    return side_by_side;
}

void KernelEmitter::store_rows(const Store& store, AxisId along,
                               const std::vector<Element>& values) {
    const Param& param = kernel_.params[store.target.index];
    const llvm::Align align(static_cast<std::uint64_t>(size_of(param.dtype)));
    const auto behind = std::ranges::find(point_axes_, along) + 1;
    std::size_t next = 1;  // from a point to its neighbour along the axis
    for (AxisId axis : std::ranges::subrange(behind, point_axes_.end()))
        next *= static_cast<std::size_t>(count_[axis]);
    for_each_point([&](std::size_t point) {
        const std::int64_t first = coordinate_[along];
        if (first % kLanes != 0) return;
        const std::int64_t points = std::min(kLanes, count_[along] - first);
        const auto value = [&](std::int64_t i) {
            return values[point + static_cast<std::size_t>(i) * next];
        };
        if (!lies_in_rows(store, along, points)) {
            for (std::int64_t i = 0; i < points; ++i) {
                coordinate_[along] = first + i;
                store_to(store, value(i));
            }
            return;
        }
        std::vector<llvm::Value*> columns;
        for (std::int64_t i = 0; i < points; ++i) columns.push_back(as_vector(value(i)));
        const std::vector<llvm::Value*> rows = rows_of_columns(builder_, columns);
        const bool last = edge_ && coordinate_[*vector_axis_] == edge_coordinate_;
        const std::int64_t lanes = last ? *static_extent(*vector_axis_) % kLanes : kLanes;
        for (lane_ = 0; *lane_ < lanes; ++*lane_) {
            llvm::Value* pointer =
                arithmetic_.address(params_[store.target.index], stored_bytes(store));
            builder_.CreateAlignedStore(rows[static_cast<std::size_t>(*lane_)], pointer, align);
        }
        lane_.reset();
    });
}

void KernelEmitter::store_to(const Store& store, Element value) {
    if (error_) return;
    if (store.target.kind == Buffer::Kind::local) {
        LocalPlace& place = locals_[store.target.index];
        const Local& local = kernel_.locals[store.target.index];
        if (place.in_registers) {
            Linear flat;
            for (std::size_t dim = 0; dim < store.index.size(); ++dim) {
                flat = arithmetic_.add(arithmetic_.scale(flat, local.dims[dim]),
                                       linear(store.index[dim]));
            }
            if (!flat.is_constant()) return fail("a local in registers has a variable index");
            place.elements[{outer_point(), flat.constant}] = value;
            return;
        }
        const Linear bytes = local_bytes(store.target.index, store.index);
        this->store(place.memory, bytes, local.dtype, value, schedule_.vector_axis.has_value());
        return;
    }
    const Condition condition = condition_of(store);
    if (condition.never) return;
    const Param& param = kernel_.params[store.target.index];
    const auto make = [&] {
        const Linear bytes = stored_bytes(store);
        llvm::Value* mask_before = guard_mask_;
        guard_mask_ = arithmetic_.both(guard_mask_, condition.lanes);
        this->store(params_[store.target.index], bytes, param.dtype, value,
                    condition.lanes == nullptr && fills_lanes(param, store.index));
        guard_mask_ = mask_before;
    };
    if (condition.scalar == nullptr) {
        make();
    } else {
        if_then(condition.scalar, make);
    }
}

// Whether a vector there is one line of the cache or several, if the array begins with one.
bool KernelEmitter::whole_lines(const Linear& bytes, DType type) {
    return kLanes * size_of(type) % kLineBytes == 0 && bytes.constant % kLineBytes == 0 &&
           std::ranges::all_of(
               bytes.terms, [](const LinearTerm& term) { return term.factor % kLineBytes == 0; });
}

// The body stores results of a tile: past the caches, where the schedule says so and whole lines begin with the array. One
// branch for all of them (matrix units, whose sums lie in memory, have one a vector): a sum that only one of several branches
// stores LLVM would make there, while its operands wait.
void KernelEmitter::past_caches_or_through(const Store& store, Body body) {
    const auto streams = store.target.kind == Buffer::Kind::local
                             ? streams_.end()
                             : streams_.find(params_[store.target.index]);
    if (streams == streams_.end()) return body();
    auto* past = llvm::BasicBlock::Create(context_, "past", function_);
    auto* through = llvm::BasicBlock::Create(context_, "through", function_);
    auto* after = llvm::BasicBlock::Create(context_, "after", function_);
    builder_.CreateCondBr(streams->second, past, through);
    for (llvm::BasicBlock* block : {past, through}) {
        builder_.SetInsertPoint(block);
        past_caches_ = block == past;
        enter();
        body();
        leave();
        builder_.CreateBr(after);
    }
    past_caches_ = false;
    builder_.SetInsertPoint(after);
}

void KernelEmitter::store(llvm::Value* base, const Linear& bytes, DType type, Element value,
                          bool all_lanes) {
    llvm::Value* stored = bytes.is_scalar() ? value.value : as_vector(value);
    if (bytes.is_scalar() && value.vector)
        return fail("a store does not depend on the vector axis");
    if (type == DType::b1) {
        llvm::Type* byte = memory_type(context_, type);
        stored = builder_.CreateZExt(
            stored, bytes.is_scalar() ? byte : llvm::FixedVectorType::get(byte, kLanes));
    }
    if (bytes.is_scalar()) {
        builder_.CreateAlignedStore(stored, arithmetic_.address(base, bytes),
                                    llvm::Align(static_cast<std::uint64_t>(size_of(type))));
        return;
    }
    llvm::Value* mask = all_lanes ? nullptr : mask_here();
    if (bytes.vector == nullptr && bytes.lane == size_of(type)) {
        if (mask == nullptr && whole_lines(bytes, type) && past_caches_) {
            llvm::StoreInst* store = builder_.CreateAlignedStore(
                stored, arithmetic_.address(base, bytes), llvm::Align(kLineBytes));
            llvm::Metadata* one = llvm::ConstantAsMetadata::get(builder_.getInt32(1));
            store->setMetadata(llvm::LLVMContext::MD_nontemporal, llvm::MDNode::get(context_, one));
        } else {
            store_side_by_side(base, bytes, stored, mask);
        }
        return;
    }
    if (mask == nullptr && joins_word(base, bytes, type, stored)) return;
    scatter(base, bytes, stored, mask);
}

// Sixteen parts of words, one of each: they wait until the tile has stored the other parts, and then are stored as words.
bool KernelEmitter::joins_word(llvm::Value* base, const Linear& bytes, DType type,
                               llvm::Value* value) {
    if (!joins_words_ || !is_part_of_word(type) || bytes.vector != nullptr || bytes.lane != 4)
        return false;
    const std::int64_t size = size_of(type);
    if (word_) {
        const Linear from_first = arithmetic_.add(bytes, arithmetic_.scale(word_->bytes, -1));
        const auto next = size * static_cast<std::int64_t>(word_->values.size());
        if (word_->base != base || word_->type != type || !from_first.is_constant() ||
            from_first.constant != next)
            finish_word();
    }
    if (!word_) word_ = WaitingWord{base, bytes, type, {}};
    word_->values.push_back(value);
    if (size * static_cast<std::int64_t>(word_->values.size()) == 4) finish_word();
    return true;
}

// What waits is stored: as words where they are whole.
void KernelEmitter::finish_word() {
    if (!word_) return;
    const WaitingWord word = std::move(*word_);
    word_.reset();
    const std::int64_t size = size_of(word.type);
    if (size * static_cast<std::int64_t>(word.values.size()) < 4) {
        Linear bytes = word.bytes;
        for (llvm::Value* value : word.values) {
            scatter(word.base, bytes, value, nullptr);
            bytes.constant += size;
        }
        return;
    }
    llvm::Value* pointer = arithmetic_.address(word.base, word.bytes);
    auto* bits =
        llvm::FixedVectorType::get(builder_.getIntNTy(static_cast<unsigned>(8 * size)), kLanes);
    auto* words = llvm::FixedVectorType::get(builder_.getInt32Ty(), kLanes);
    llvm::Value* joined = nullptr;
    for (std::size_t part = 0; part < word.values.size(); ++part) {
        llvm::Value* value =
            builder_.CreateZExt(builder_.CreateBitCast(word.values[part], bits), words);
        value = builder_.CreateShl(value, part * static_cast<std::uint64_t>(8 * size));
        joined = joined == nullptr ? value : builder_.CreateOr(joined, value);
    }
    builder_.CreateAlignedStore(joined, pointer, llvm::Align(static_cast<std::uint64_t>(size)));
}

}  // namespace netc
