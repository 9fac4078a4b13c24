// See the header.
#include "backends/gpu/tile_tensors.h"

#include <algorithm>
#include <map>

namespace netc {
namespace {

// What a copy brings side by side is a row of a swizzled tile.
constexpr std::int64_t kRowBytes = 128;
constexpr std::int64_t kChunk = 16;
constexpr std::size_t kMostDims = 5;
constexpr std::int64_t kMostBox = 256;

// Axes whose elements are evenly apart, as one dimension.
struct Merged {
    std::int64_t stride = 0;
    Extent extent;
    Index at;
    bool walked_points = false, walked_steps = false;  // by a tile, one by one
};

// Elements by which memory moves with each axis; nothing where it does not move evenly, or with the batch.
struct Strides {
    std::map<AxisId, std::int64_t> of;
    std::int64_t start = 0;
};
std::optional<Strides> strides_of(const Param& param, const Read& read) {
    Strides found;
    const std::vector<Extent> steps = strides(param);
    for (std::size_t dim = 0; dim < steps.size(); ++dim) {
        const Index& index = read.index[dim];
        if (index.is_constant() && index.constant() == 0) continue;
        if (!steps[dim].is_static()) return std::nullopt;
        found.start += steps[dim].at(0) * index.constant();
        for (const IndexTerm& term : index.terms()) {
            if (term.kind != IndexTerm::Kind::axis) return std::nullopt;
            found.of[term.axis] += steps[dim].at(0) * term.coefficient;
        }
    }
    for (const auto& [axis, stride] : found.of)
        if (stride <= 0) return std::nullopt;
    return found;
}

class TensorMaker {
public:
    TensorMaker(const Kernel& kernel, const TiledOperand& operand, const Numbering& batch)
        : kernel_(kernel), operand_(operand), batch_(batch),
          reduction_(*kernel.stages[0].reduction) {}

    std::optional<TileTensor> make() {
        const Scalar& scalar = kernel_.scalars[operand_.value];
        if (scalar.op != ScalarOp::read) return std::nullopt;
        const Read& read = kernel_.reads[static_cast<std::size_t>(scalar.integer)];
        if (read.source.kind != Buffer::Kind::param || read.indirect >= 0 ||
            read.outside != Outside::never)
            return std::nullopt;
        const Param& param = kernel_.params[read.source.index];
        if (param.layout.lanes || param.dtype != scalar.type ||
            (param.dtype != DType::bf16 && !(param.dtype == DType::f32 && operand_.along_k)))
            return std::nullopt;  // tf32 is multiplied along the sum only
        param_ = &param;
        const auto strides = strides_of(param, read);
        if (!strides) return std::nullopt;
        strides_ = *strides;
        if (!add_guards() || !add_walked() || !add_batch()) return std::nullopt;
        return tensor(param, read.source.index);
    }

private:
    std::int64_t stride(AxisId axis) const {
        const auto found = strides_.of.find(axis);
        return found == strides_.of.end() ? 0 : found->second;
    }
    bool is_taken(AxisId axis) const {
        return std::ranges::any_of(dims_,
                                   [&](const Merged& dim) { return dim.at.depends_on(axis); });
    }

    // Each guard is the bound of a dimension along which all of its axes move.
    bool add_guards() {
        for (const Guard& guard : *operand_.guards) {
            if (guard.divisor != 1 || guard.index.terms().empty()) return false;
            Merged dim{0, guard.limit, guard.index};
            for (const IndexTerm& term : guard.index.terms()) {
                if (term.kind != IndexTerm::Kind::axis || is_taken(term.axis)) return false;
                const std::int64_t whole = stride(term.axis);
                if (whole == 0 || term.coefficient <= 0 || whole % term.coefficient != 0)
                    return false;
                const std::int64_t one = whole / term.coefficient;
                if (dim.stride != 0 && one != dim.stride) return false;
                dim.stride = one;
            }
            if (!is_in_memory(dim)) return false;
            strides_.start -= dim.stride * guard.index.constant();
            dims_.push_back(std::move(dim));
        }
        return true;
    }

    // A copy goes to the bound, where the kernel need not: the parameter has to reach there.
    bool is_in_memory(const Merged& dim) const {
        const std::vector<Extent> steps = netc::strides(*param_);
        for (std::size_t k = 0; k < steps.size(); ++k) {
            const Extent there = param_->dims[k];
            if (steps[k] != Extent{0, dim.stride}) continue;
            if (there == dim.extent ||
                (there.is_static() && dim.extent.is_static() && dim.extent.at(0) <= there.at(0)))
                return true;
        }
        return false;
    }

    // Neighbours merged where one goes on where the other ends; the last is the innermost.
    std::optional<std::vector<Merged>> merged(const std::vector<AxisId>& axes) const {
        std::vector<Merged> dims;
        for (std::size_t k = axes.size(); k-- > 0;) {
            const AxisId axis = axes[k];
            const Extent extent = kernel_.axes[axis].extent;
            if (extent == Extent{0, 1}) continue;
            if (stride(axis) == 0) return std::nullopt;
            if (!dims.empty() && goes_on(dims.back(), axis)) {
                Merged& inner = dims.back();
                const std::int64_t count = inner.extent.at(0);
                inner.extent = extent * count;
                inner.at = Index::axis(axis) * count + inner.at;
            } else {
                dims.push_back({stride(axis), extent, Index::axis(axis)});
            }
        }
        return dims;
    }
    bool goes_on(const Merged& inner, AxisId axis) const {
        return inner.extent.is_static() && kernel_.axes[axis].extent.divisor == 1 &&
               !is_taken(axis) && !is_taken(inner.at.terms()[0].axis) &&
               stride(axis) == inner.stride * inner.extent.at(0);
    }

    // What tiles walk: numbers of points or of steps, `block` at a time. They are one dimension, or the innermost
    // is a multiple of a tile.
    bool add_walk(const std::vector<AxisId>& axes, std::int64_t block, bool steps) {
        const auto walk = merged(axes);
        if (!walk || walk->empty()) return false;
        const Merged& inner = walk->front();
        const auto bounded = std::ranges::find_if(
            dims_, [&](const Merged& dim) { return dim.at.depends_on(inner.at.terms()[0].axis); });
        const bool is_bounded = bounded != dims_.end();
        const bool whole_tiles = inner.extent.is_static() && inner.extent.at(0) % block == 0;
        // Behind the end of a bounded axis, or of one of several, there are others' elements. Points may have them: no
        // such point is stored.
        if (!whole_tiles && (walk->size() > 1 || (is_bounded && steps))) return false;
        if (is_bounded && bounded->stride != inner.stride) return false;
        const std::size_t walked =
            is_bounded ? static_cast<std::size_t>(bounded - dims_.begin()) : dims_.size();
        for (const Merged& dim : *walk)
            if (!is_taken(dim.at.terms()[0].axis)) dims_.push_back(dim);
        (steps ? dims_[walked].walked_steps : dims_[walked].walked_points) = true;
        return true;
    }
    bool add_walked() {
        std::vector<AxisId> points;
        for (const auto* digits : {&operand_.points->outer, &operand_.points->inner}) {
            for (const Digit& digit : *digits) {
                if (digit.scale != 1) return false;  // samples in groups
                points.push_back(digit.axis);
            }
        }
        return add_walk(points, operand_.block, false) &&
               add_walk(reduction_.axes, operand_.block_k, true);
    }

    bool add_batch() {
        for (const auto* digits : {&batch_.outer, &batch_.inner}) {
            for (const Digit& digit : *digits) {
                if (digit.scale != 1) return false;
                if (digit.extent == Extent{0, 1} || stride(digit.axis) == 0 || is_taken(digit.axis))
                    continue;
                dims_.push_back({stride(digit.axis), digit.extent, Index::axis(digit.axis)});
            }
        }
        return true;
    }

    std::optional<TileTensor> tensor(const Param& param, std::uint32_t number) {
        std::ranges::stable_sort(dims_, {}, &Merged::stride);
        const std::int64_t element = size_of(param.dtype);
        TileTensor made;
        made.view.param = number;
        made.view.dtype = param.dtype;
        made.view.start = strides_.start;
        if (dims_.size() < 2 || dims_.size() > kMostDims || strides_.start < 0 ||
            strides_.start * element % kChunk != 0)
            return std::nullopt;
        const Merged& row = dims_[0];
        if (row.stride != 1 || !(operand_.along_k ? row.walked_steps : row.walked_points))
            return std::nullopt;
        for (std::size_t k = 0; k < dims_.size(); ++k) {
            const Merged& dim = dims_[k];
            if (k > 0 &&
                (dim.stride * element % kChunk != 0 || dim.stride % dims_[k - 1].stride != 0))
                return std::nullopt;
            if (dim.walked_points && dim.walked_steps) return std::nullopt;
            std::int64_t box = dim.walked_points  ? operand_.block
                               : dim.walked_steps ? operand_.block_k
                                                  : 1;
            if (k == 0) box = std::min(box, kRowBytes / element);
            if (box > kMostBox) return std::nullopt;
            made.view.dims.push_back({dim.extent, dim.stride, box});
            made.at.push_back(dim.at);
        }
        return made;
    }

    const Kernel& kernel_;
    const TiledOperand& operand_;
    const Numbering& batch_;
    const Reduction& reduction_;
    const Param* param_ = nullptr;
    Strides strides_;
    std::vector<Merged> dims_;
};

}  // namespace

std::int64_t TileTensor::bytes() const {
    std::int64_t bytes = size_of(view.dtype);
    for (const GpuTensor::Dim& dim : view.dims) bytes *= dim.box;
    return bytes;
}

std::optional<TileTensor> tile_tensor(const Kernel& kernel, const TiledOperand& operand,
                                      const Numbering& batch) {
    return TensorMaker(kernel, operand, batch).make();
}

}  // namespace netc
