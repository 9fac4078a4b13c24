// Rows that several stages of a team read, brought to shared memory once.
#include "backends/gpu/team_emitter.h"

#include <algorithm>

#include "backends/scalar_ops.h"

namespace netc {
namespace {

// Elements of 4 bytes that one load of a row brings; shared memory that rows may take a block to.
constexpr std::int64_t kWide = 4;
constexpr std::int64_t kMostShared = 72 * 1024;

}  // namespace

// A row is brought where two reads or more walk it along memory, each by an axis of its stage.
void TeamEmitter::find_rows() {
    if (!how_.members_fastest) return;
    const auto is_outer = [&](AxisId axis) { return kernel_.axes[axis].kind == AxisKind::outer; };
    for (std::size_t number = 0; number < kernel_.reads.size(); ++number) {
        const Read& read = kernel_.reads[number];
        if (read.source.kind != Buffer::Kind::param || read.indirect >= 0 ||
            read.outside != Outside::never)
            continue;
        const Param& param = kernel_.params[read.source.index];
        if (param.direction != Direction::in || param.layout.lanes || size_of(param.dtype) != 4)
            continue;
        const std::vector<Extent> steps = strides(param);
        std::optional<std::size_t> along;
        bool fits = true;
        for (std::size_t dim = 0; dim < read.index.size(); ++dim) {
            const Index& index = read.index[dim];
            const bool inner = std::ranges::any_of(index.terms(), [&](const IndexTerm& term) {
                return term.kind != IndexTerm::Kind::axis || !is_outer(term.axis);
            });
            if (!inner) {
                fits =
                    fits && steps[dim].per_batch % kWide == 0 && steps[dim].constant % kWide == 0;
            } else if (along || steps[dim] != Extent{0, 1} || index.terms().size() != 1 ||
                       !index.is_axis(index.terms()[0].axis) ||
                       extent_of(index.terms()[0].axis) != param.dims[dim]) {
                fits = false;
            } else {
                along = dim;
            }
        }
        if (!fits || !along || !param.dims[*along].is_static()) continue;
        const std::int64_t extent = param.dims[*along].constant;
        if (extent < 64 || extent % kWide != 0) continue;
        const AxisId axis = read.index[*along].terms()[0].axis;
        const auto same = std::ranges::find_if(rows_, [&](const Row& row) {
            const Read& other = kernel_.reads[row.reads[0]];
            if (other.source != read.source) return false;
            for (std::size_t dim = 0; dim < read.index.size(); ++dim)
                if (dim != *along && !(other.index[dim] == read.index[dim])) return false;
            return other.index[*along].is_axis(row.axes[0]);
        });
        if (same == rows_.end()) {
            rows_.push_back({{number}, {axis}, extent, 0});
        } else {
            same->reads.push_back(number);
            same->axes.push_back(axis);
        }
    }
    std::erase_if(rows_, [](const Row& row) { return row.reads.size() < 2; });
    std::int64_t bytes = shared_bytes_;
    for (Row& row : rows_) {
        row.start = (bytes + 15) / 16 * 16;
        bytes = row.start + padded(row.extent) * slots_ * 4;
    }
    if (bytes > kMostShared) {
        rows_.clear();
    } else {
        shared_bytes_ = bytes;
    }
}

void TeamEmitter::bring_rows() {
    for (const Row& row : rows_) {
        const Read& read = kernel_.reads[row.reads[0]];
        llvm::Type* element = memory_type(context_, kernel_.params[read.source.index].dtype);
        auto* wide = llvm::FixedVectorType::get(element, static_cast<unsigned>(kWide));
        const auto load = [&](llvm::Value* at) {
            coordinate_[row.axes[0]] = at;
            return builder_.CreateAlignedLoad(wide, address_of(read, nullptr), llvm::Align(16));
        };
        const auto keep = [&](llvm::Value* value, llvm::Value* at) {
            ops_.store_shared(builder_, value, shared_address(row.start, row.extent, at, element),
                              llvm::Align(16));
        };
        llvm::Value* first = builder_.CreateMul(member_, number(kWide));
        const std::int64_t round = how_.team * kWide;
        const std::int64_t rounds = row.extent / round;  // that are full
        constexpr std::int64_t kAtOnce = 8;
        const auto several = [&](llvm::Value* from, std::int64_t count) {
            Values values, places;
            for (std::int64_t k = 0; k < count; ++k) {
                places.push_back(builder_.CreateAdd(from, number(k * round)));
                values.push_back(load(places.back()));
            }
            for (std::size_t k = 0; k < values.size(); ++k) keep(values[k], places[k]);
        };
        const std::int64_t groups = rounds / kAtOnce;
        loop(number(0), number(groups), number(1), [&](llvm::Value* group) {
            several(builder_.CreateAdd(first, builder_.CreateMul(group, number(kAtOnce * round))),
                    kAtOnce);
        });
        several(builder_.CreateAdd(first, number(groups * kAtOnce * round)), rounds % kAtOnce);
        llvm::Value* last = builder_.CreateAdd(first, number(rounds * round));
        if (row.extent % round != 0) {
            if_then(builder_.CreateICmpSLT(last, number(row.extent)),
                    [&] { keep(load(last), last); });
        }
        coordinate_[row.axes[0]] = nullptr;
    }
    if (!rows_.empty()) ops_.barrier(builder_);
}

llvm::Value* TeamEmitter::read_cached(std::size_t read) {
    for (const Row& row : rows_) {
        const auto found = std::ranges::find(row.reads, read);
        if (found == row.reads.end()) continue;
        const AxisId axis = row.axes[static_cast<std::size_t>(found - row.reads.begin())];
        const DType dtype = kernel_.params[kernel_.reads[read].source.index].dtype;
        llvm::Type* type = memory_type(context_, dtype);
        return ops_.load_shared(builder_, type,
                                shared_address(row.start, row.extent, coordinate_[axis], type),
                                llvm::Align(4));
    }
    return nullptr;
}

}  // namespace netc
