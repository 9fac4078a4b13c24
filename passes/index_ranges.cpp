#include "passes/index_ranges.h"

#include <algorithm>
#include <optional>

namespace netc {
namespace {

class RangeFinder {
public:
    RangeFinder(const Kernel& kernel, const std::vector<BufferRef>& arguments,
                std::vector<Entry::IndexRange>& ranges)
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
    }

private:
    std::vector<Extent> dims_of(Buffer buffer) const {
        if (buffer.kind == Buffer::Kind::param) return kernel_.params[buffer.index].dims;
        std::vector<Extent> dims;
        for (std::int64_t dim : kernel_.locals[buffer.index].dims) dims.push_back({0, dim});
        return dims;
    }

    // The entry's input that a scalar is an element of, through conversions.
    std::optional<std::uint32_t> input_of(ScalarId id) const {
        const Scalar* scalar = &kernel_.scalars[id];
        while (scalar->op == ScalarOp::cast && !is_float(scalar->type)) {
            scalar = &kernel_.scalars[scalar->operands[0]];
        }
        if (scalar->op != ScalarOp::read || !is_int(scalar->type)) return std::nullopt;
        const Read& read = kernel_.reads[static_cast<std::size_t>(scalar->integer)];
        if (read.source.kind != Buffer::Kind::param) return std::nullopt;
        const BufferRef& ref = arguments_[read.source.index];
        if (ref.region != RegionKind::input) return std::nullopt;
        return ref.number;
    }

    void position(ScalarId id, const std::vector<Extent>& dims, std::int32_t dim) {
        const Extent limit = dims[static_cast<std::size_t>(dim)];
        const std::optional<std::uint32_t> input = input_of(id);
        if (input && limit.is_static()) add(*input, limit.constant);
    }

    void compared(ScalarId index, ScalarId value) {
        const Scalar* scalar = &kernel_.scalars[index];
        while (scalar->op == ScalarOp::cast) scalar = &kernel_.scalars[scalar->operands[0]];
        const std::optional<std::uint32_t> input = input_of(value);
        if (scalar->op != ScalarOp::index || !input) return;
        const std::optional<Range> range =
            range_of(kernel_.indices[static_cast<std::size_t>(scalar->integer)],
                     [&](AxisId axis) -> std::optional<std::int64_t> {
                         const Extent& extent = kernel_.axes[axis].extent;
                         if (!extent.is_static()) return std::nullopt;
                         return extent.constant;
                     });
        if (range && range->low == 0) add(*input, range->high + 1);
    }

    void add(std::uint32_t input, std::int64_t limit) {
        for (Entry::IndexRange& range : ranges_) {
            if (range.input != input) continue;
            range.limit = std::min(range.limit, limit);
            return;
        }
        ranges_.push_back({input, limit});
    }

    const Kernel& kernel_;
    const std::vector<BufferRef>& arguments_;
    std::vector<Entry::IndexRange>& ranges_;
};

}  // namespace

void collect_index_ranges(const Kernel& kernel, const std::vector<BufferRef>& arguments,
                          std::vector<Entry::IndexRange>& ranges) {
    RangeFinder(kernel, arguments, ranges).run();
}

}  // namespace netc
