#include "passes/index_ranges.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace netc {
namespace {

bool same_place(const BufferRef& a, const BufferRef& b) {
    return a.region == b.region && a.number == b.number && a.offset == b.offset &&
           a.strides.empty() && b.strides.empty();
}

// For some batch; of buffers that move with the steps of a loop, to be on the safe side.
bool overlap(const BufferRef& a, const Param& of_a, const BufferRef& b, const Param& of_b) {
    if (a.region != b.region || a.number != b.number) return false;
    if (!a.strides.empty() || !b.strides.empty()) return true;
    return std::ranges::any_of(
        std::initializer_list<std::int64_t>{1, 16, 4096}, [&](std::int64_t batch) {
            const std::int64_t begin_a = a.offset.at(batch), begin_b = b.offset.at(batch);
            const std::int64_t end_a = begin_a + element_count(of_a, batch) * size_of(of_a.dtype);
            const std::int64_t end_b = begin_b + element_count(of_b, batch) * size_of(of_b.dtype);
            return begin_a < end_b && begin_b < end_a;
        });
}

}  // namespace

class RangeFinder {
public:
    RangeFinder(const Kernel& kernel, const std::vector<BufferRef>& arguments, IndexRanges& ranges)
        : kernel_(kernel), arguments_(arguments), ranges_(ranges) {}

    void run() {
        for (const Read& read : kernel_.reads) {
            if (read.indirect < 0) continue;
            position(read.position, dims_of(read.source), read.indirect);
        }
        for (const Stage& stage : kernel_.stages) {
            for (const Store& store : stage.stores) {
                if (store.indirect < 0) continue;
                position(store.position, dims_of(store.target), store.indirect);
            }
        }
        for (ScalarId id = 0; id < kernel_.scalars.size(); ++id) {
            const Scalar& scalar = kernel_.scalars[id];
            if (scalar.op != ScalarOp::equal) continue;
            compared(scalar.operands[0], scalar.operands[1]);
            compared(scalar.operands[1], scalar.operands[0]);
        }
        remember_copies();
    }

private:
    using Labels = IndexRanges::Labels;

    std::vector<Extent> dims_of(Buffer buffer) const {
        if (buffer.kind == Buffer::Kind::param) return kernel_.params[buffer.index].dims;
        std::vector<Extent> dims;
        for (std::int64_t dim : kernel_.locals[buffer.index].dims) dims.push_back({0, dim});
        return dims;
    }

    // Bounds that leave what could be an index as it is, nor make one of what is none: a cast that saturates has them.
    std::optional<ScalarId> within_bounds(const Scalar& scalar) const {
        if (scalar.op != ScalarOp::min && scalar.op != ScalarOp::max) return std::nullopt;
        for (const std::size_t own : {0u, 1u}) {
            const Scalar& bound = kernel_.scalars[scalar.operands[1 - own]];
            if (bound.op != ScalarOp::constant || is_float(bound.type)) continue;
            if (scalar.op == ScalarOp::min ? bound.integer >= INT32_MAX : bound.integer < 0)
                return scalar.operands[own];
        }
        return std::nullopt;
    }

    const Scalar& without_casts(ScalarId id) const {
        const Scalar& scalar = kernel_.scalars[id];
        if (scalar.op == ScalarOp::cast && !is_float(scalar.type))
            return without_casts(scalar.operands[0]);
        const std::optional<ScalarId> inner = within_bounds(scalar);
        return inner ? without_casts(*inner) : scalar;
    }

    std::optional<Range> range_in_kernel(const Index& index) const {
        return range_of(index, [&](AxisId axis) -> std::optional<std::int64_t> {
            const Extent& extent = kernel_.axes[axis].extent;
            if (!extent.is_static()) return std::nullopt;
            return extent.constant;
        });
    }

    // An input as the caller gives it, not a step's share of it.
    bool is_whole(const BufferRef& ref, const Read& read) const {
        const Param& param = kernel_.params[read.source.index];
        return ref.strides.empty() && ref.offset == Bytes{} &&
               param.layout == row_major(param.dims.size());
    }

    // Where along the axes of an input a read goes; of more than two axes all of the others.
    std::array<Entry::IndexRange::Part, 2> parts_of(const Read& read) const {
        std::array<Entry::IndexRange::Part, 2> parts = {};
        const Param& param = kernel_.params[read.source.index];
        std::size_t used = 0;
        std::int64_t inner = 1;
        for (std::size_t d = param.dims.size(); d-- > 0 && param.dims[d].is_static();) {
            const std::int64_t extent = param.dims[d].constant;
            const bool is_data = static_cast<std::size_t>(read.indirect) == d;
            const auto range = is_data ? std::nullopt : range_in_kernel(read.index[d]);
            const std::int64_t begin = range ? std::max<std::int64_t>(range->low, 0) : 0;
            const std::int64_t end = range ? std::min(range->high + 1, extent) : extent;
            if (begin < end && end - begin < extent && used < parts.size())
                parts[used++] = {inner, extent, begin, end};
            inner *= extent;
        }
        return parts;
    }

    // The labels that a scalar is one of, through conversions and a value that is taken out.
    std::optional<Labels> labels_of(ScalarId id) const {
        const Scalar& scalar = without_casts(id);
        if (scalar.op == ScalarOp::select) return all_but_one(scalar);
        if (scalar.op != ScalarOp::read || !is_int(scalar.type)) return std::nullopt;
        const Read& read = kernel_.reads[static_cast<std::size_t>(scalar.integer)];
        if (read.source.kind != Buffer::Kind::param) return std::nullopt;
        const BufferRef& ref = arguments_[read.source.index];
        Labels labels{ref.number, 0, {}, nullptr, is_whole(ref, read)};
        if (ref.region != RegionKind::input) {
            const auto copy = std::ranges::find_if(
                ranges_.copies_, [&](const auto& each) { return same_place(each.place, ref); });
            if (copy == ranges_.copies_.end()) return std::nullopt;
            labels = copy->labels;
        }
        if (labels.in_place) labels.parts = parts_of(read);
        labels.read = &read;
        return labels;
    }

    // select(y == c, constant, y)
    std::optional<Labels> all_but_one(const Scalar& select) const {
        const Scalar& condition = kernel_.scalars[select.operands[0]];
        if (condition.op != ScalarOp::equal) return std::nullopt;
        if (without_casts(select.operands[1]).op != ScalarOp::constant) return std::nullopt;
        std::optional<Labels> labels = labels_of(select.operands[2]);
        if (!labels || labels->ignored != 0) return std::nullopt;
        for (const std::size_t own : {0u, 1u}) {
            const std::optional<Labels> same = labels_of(condition.operands[own]);
            const Scalar& taken_out = without_casts(condition.operands[1 - own]);
            if (!same || same->input != labels->input || same->parts != labels->parts ||
                taken_out.op != ScalarOp::constant)
                continue;
            labels->ignored = taken_out.integer;
            return labels;
        }
        return std::nullopt;
    }

    void position(ScalarId id, const std::vector<Extent>& dims, std::int32_t dim) {
        const Extent limit = dims[static_cast<std::size_t>(dim)];
        const std::optional<Labels> labels = labels_of(id);
        if (labels && limit.is_static()) ranges_.note(*labels, limit.constant);
    }

    void compared(ScalarId index, ScalarId value) {
        const Scalar* scalar = &kernel_.scalars[index];
        while (scalar->op == ScalarOp::cast) scalar = &kernel_.scalars[scalar->operands[0]];
        if (scalar->op != ScalarOp::index) return;
        const std::optional<Labels> labels = labels_of(value);
        if (!labels) return;
        const std::optional<Range> range =
            range_in_kernel(kernel_.indices[static_cast<std::size_t>(scalar->integer)]);
        if (range && range->low == 0) ranges_.note(*labels, range->high + 1);
    }

    // What this kernel writes is no longer what it was; where it is labels, later kernels may index with it.
    void remember_copies() {
        std::vector<IndexRanges::Copy> made;
        for (const Stage& stage : kernel_.stages) {
            for (const Store& store : stage.stores) {
                if (store.target.kind != Buffer::Kind::param || store.indirect >= 0) continue;
                const BufferRef& place = arguments_[store.target.index];
                if (place.region != RegionKind::workspace || !place.strides.empty()) continue;
                const Param& param = kernel_.params[store.target.index];
                std::optional<Labels> labels = labels_of(store.value);
                if (!labels) continue;
                labels->in_place = labels->in_place && store.index == labels->read->index &&
                                   param.dims == kernel_.params[labels->read->source.index].dims;
                made.push_back({place, param, *labels});
            }
        }
        for (std::size_t i = 0; i < kernel_.params.size(); ++i) {
            if (kernel_.params[i].direction != Direction::in)
                ranges_.forget(arguments_[i], kernel_.params[i]);
        }
        for (IndexRanges::Copy& copy : made) ranges_.copies_.push_back(std::move(copy));
    }

    const Kernel& kernel_;
    const std::vector<BufferRef>& arguments_;
    IndexRanges& ranges_;
};

void IndexRanges::note(Labels labels, std::int64_t limit) {
    for (Entry::IndexRange& range : ranges_) {
        if (range.input != labels.input || range.parts != labels.parts) continue;
        range.limit = std::min(range.limit, limit);
        if (range.ignored != labels.ignored) range.ignored = 0;
        return;
    }
    ranges_.push_back({labels.input, limit, labels.ignored, labels.parts});
}

void IndexRanges::forget(const BufferRef& place, const Param& param) {
    std::erase_if(copies_,
                  [&](const Copy& copy) { return overlap(copy.place, copy.param, place, param); });
}

void IndexRanges::add(const Kernel& kernel, const std::vector<BufferRef>& arguments) {
    RangeFinder(kernel, arguments, *this).run();
}

}  // namespace netc
