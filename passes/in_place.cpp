#include "passes/in_place.h"

#include <vector>

namespace netc {
namespace {

bool is_param(const Buffer& buffer, std::uint32_t number) {
    return buffer.kind == Buffer::Kind::param && buffer.index == number;
}

// The reads of a param that some values need.
class Reads {
public:
    Reads(const Kernel& kernel, std::uint32_t param)
        : kernel_(kernel), param_(param), seen_(kernel.scalars.size(), false) {}

    void visit(ScalarId id) {
        if (id == kNoScalar || seen_[id]) return;
        seen_[id] = true;
        const Scalar& scalar = kernel_.scalars[id];
        for (const ScalarId operand : scalar.operands) visit(operand);
        if (scalar.op != ScalarOp::read) return;
        const Read& read = kernel_.reads[static_cast<std::size_t>(scalar.integer)];
        visit(read.position);
        if (is_param(read.source, param_)) found.push_back(&read);
    }

    std::vector<const Read*> found;

private:
    const Kernel& kernel_;
    std::uint32_t param_;
    std::vector<bool> seen_;
};

std::vector<const Read*> reads_of(const Kernel& kernel, std::uint32_t param, const Store& store) {
    Reads reads(kernel, param);
    reads.visit(store.value);
    reads.visit(store.position);
    return reads.found;
}

}  // namespace

bool can_overwrite(const Kernel& kernel, std::uint32_t operand, std::uint32_t result) {
    const Param& from = kernel.params[operand];
    const Param& to = kernel.params[result];
    if (from.direction != Direction::in || to.direction != Direction::out) return false;
    if (from.dtype != to.dtype || from.dims != to.dims || from.layout != to.layout) return false;
    int stores = 0;
    for (const Stage& stage : kernel.stages) {
        if (stage.reduction) {
            Reads reads(kernel, operand);
            for (const ScalarId id : stage.reduction->step) reads.visit(id);
            for (const ScalarId id : stage.reduction->merge) reads.visit(id);
            if (!reads.found.empty()) return false;
        }
        for (const Store& store : stage.stores) {
            const std::vector<const Read*> reads = reads_of(kernel, operand, store);
            if (!is_param(store.target, result)) {
                if (!reads.empty()) return false;
                continue;
            }
            // A schedule may keep unfinished sums in the result.
            if (++stores > 1 || stage.reduction || store.indirect >= 0) return false;
            for (const Read* read : reads) {
                if (read->indirect >= 0 || read->outside != Outside::never) return false;
                if (read->index != store.index) return false;
            }
        }
    }
    return stores == 1;
}

}  // namespace netc
