#include "passes/fuse.h"

#include <algorithm>
#include <set>

#include "passes/grouping.h"
#include "passes/order.h"
#include "passes/siblings.h"

namespace netc {
namespace {

// Up to this many elements, a whole tensor may be the work of one outer iteration.
constexpr std::int64_t kSmall = 4096;
// A second-level cache. What is larger is read from memory again behind a sum over it, and faster row by row, by a
// kernel of its own, than channel by channel.
constexpr std::int64_t kCached = 1 << 20;
// A kernel of more nodes saves no memory traffic to speak of, and every further one makes emitting it slower.
constexpr std::size_t kMostNodes = 128;

// Elements at a batch of one, and whether they grow with the batch.
struct Volume {
    std::int64_t elements = 1;
    bool grows = false;
    bool exceeds(const Volume& other) const {
        return elements > other.elements || (grows && !other.grows);
    }
};

void multiply(Volume& volume, const Dim& dim) {
    const Extent extent = dim.extent().value_or(Extent{0, 1});
    volume.elements *= extent.per_batch + extent.constant;
    volume.grows = volume.grows || !extent.is_static();
}

Volume volume_of(const Shape& shape) {
    Volume volume;
    for (const Dim& dim : shape) multiply(volume, dim);
    return volume;
}

class Fuser {
public:
    Fuser(Function& function, std::int64_t batch_hint)
        : function_(function), grouping_(function), batch_(std::max<std::int64_t>(1, batch_hint)) {}

    void run() {
        for (std::uint32_t i = 0; i < function_.nodes.size(); ++i) {
            if (function_.nodes[i].group == 0) continue;
            while (join_a_producer(NodeId{i})) {
            }
        }
        join_siblings();
        join_scalars();
    }

private:
    const GroupInfo& info() const { return grouping_.info(); }
    bool reduces(NodeId id) const { return info().probes[id.index].reduces; }

    bool stands_alone(const std::vector<NodeId>& nodes) const {
        return std::any_of(nodes.begin(), nodes.end(),
                           [&](NodeId id) { return info().probes[id.index].leads_a_kernel(); });
    }
    bool has_reduction(const std::vector<NodeId>& nodes) const {
        return std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) { return reduces(id); });
    }

    bool join_a_producer(NodeId id) {
        const std::vector<NodeId> consumer = grouping_.group_of(id);
        if (stands_alone(consumer)) return false;
        std::set<GroupId> tried;
        for (NodeId member : consumer) {
            for (NodeId source : info().sources[member.index]) {
                const GroupId group = function_[source].group;
                if (group == 0 || group == function_[id].group) continue;
                if (!tried.insert(group).second) continue;
                const std::vector<NodeId> producer = members(function_, group);
                if (!worth_it(producer, consumer)) continue;
                std::vector<NodeId> both = producer;
                both.insert(both.end(), consumer.begin(), consumer.end());
                if (grouping_.group(std::move(both))) return true;
            }
        }
        return false;
    }

    bool worth_it(const std::vector<NodeId>& producer, const std::vector<NodeId>& consumer) const {
        if (stands_alone(producer)) return false;
        if (producer.size() + consumer.size() > kMostNodes) return false;
        if (is_better_behind(producer, consumer)) return false;
        const bool rows = has_reduction(producer) || has_reduction(consumer);
        if (!has_reduction(producer) && computes_again(producer, consumer) &&
            !cheap_to_repeat(producer, consumer)) {
            return false;
        }
        if (!rows) return true;
        // A reduction that leaves little has few outer iterations: whole tensors must not hang on it.
        std::vector<NodeId> both = producer;
        both.insert(both.end(), consumer.begin(), consumer.end());
        const Volume kept = kept_volume(both);
        if (kept.grows || all_inside(producer, consumer, kept)) return true;
        return false;
    }

    // A large elementwise value, from what the producer stores for others too, that one reader can make for itself:
    // with the producer it would be stored as well.
    bool is_better_behind(const std::vector<NodeId>& producer,
                          const std::vector<NodeId>& consumer) const {
        const std::vector<NodeId> made = outputs(info(), consumer);
        if (has_reduction(consumer) || made.size() != 1 || info().wanted[made[0].index])
            return false;
        const std::vector<NodeId>& readers = info().readers[made[0].index];
        if (readers.size() != 1 || bytes_of(function_[made[0]].type, batch_) < kCached / 4)
            return false;
        const OpDef& reader = op_def(function_[readers[0]].op);
        if (reader.alone || stands_alone(grouping_.group_of(readers[0]))) return false;
        if (reader.family != OpFamily::elementwise && reader.family != OpFamily::reduction)
            return false;
        const auto has = [](const std::vector<NodeId>& list, NodeId one) {
            return std::ranges::binary_search(list, one);
        };
        return std::ranges::all_of(consumer, [&](NodeId id) {
            return std::ranges::all_of(info().sources[id.index], [&](NodeId source) {
                if (!has(producer, source)) return true;
                const bool stored =
                    info().wanted[source.index] ||
                    std::ranges::any_of(info().readers[source.index], [&](NodeId other) {
                        return !has(producer, other) && !has(consumer, other);
                    });
                return stored && grouping_.shape(source) == grouping_.shape(made[0]);
            });
        });
    }

    // Elements that the smallest reduction leaves.
    Volume kept_volume(const std::vector<NodeId>& nodes) const {
        Volume least{INT64_MAX, true};
        for (NodeId id : nodes) {
            if (!reduces(id)) continue;
            const Volume volume = volume_of(grouping_.shape(id));
            if (least.exceeds(volume)) least = volume;
        }
        return least;
    }

    // What the kernel would store is as small as what the reductions leave, or small altogether; or
    // there are enough of them to share the work and a cache holds it (batch normalisation).
    bool all_inside(const std::vector<NodeId>& producer, const std::vector<NodeId>& consumer,
                    const Volume& kept) const {
        std::vector<NodeId> both = producer;
        both.insert(both.end(), consumer.begin(), consumer.end());
        std::sort(both.begin(), both.end());
        const bool rows_behind = has_reduction(producer) && kept.elements >= kLanes;
        const bool rows_only_here = has_reduction(consumer) && !has_reduction(producer);
        for (NodeId id : outputs(info(), both)) {
            const Volume volume = volume_of(grouping_.shape(id));
            if (!volume.exceeds(kept)) continue;
            if (!volume.grows && volume.elements <= kSmall) continue;
            const bool in_consumer = std::binary_search(consumer.begin(), consumer.end(), id);
            // With reductions already, the consumer has been asked before.
            const bool cached = bytes_of(function_[id].type, batch_) <= kCached;
            if (!in_consumer || !((rows_behind && cached) || rows_only_here)) return false;
        }
        return true;
    }

    // A value of the producer is read more often than it has elements.
    bool computes_again(const std::vector<NodeId>& producer,
                        const std::vector<NodeId>& consumer) const {
        for (NodeId reader : consumer) {
            Volume reads = volume_of(grouping_.shape(reader));
            for (const Dim& dim : info().probes[reader.index].reduced) multiply(reads, dim);
            for (NodeId source : info().sources[reader.index]) {
                if (!std::binary_search(producer.begin(), producer.end(), source)) continue;
                if (reads.exceeds(volume_of(grouping_.shape(source)))) return true;
            }
        }
        return false;
    }

    // One plain operation on one value in memory, for this consumer only: reading its operand as often
    // costs what reading its result would.
    bool cheap_to_repeat(const std::vector<NodeId>& producer,
                         const std::vector<NodeId>& consumer) const {
        if (producer.size() != 1 || info().wanted[producer[0].index]) return false;
        const NodeId id = producer[0];
        const auto& readers = info().readers[id.index];
        return !info().probes[id.index].transcendental && info().sources[id.index].size() == 1 &&
               info().probes[id.index].reads.size() <= 2 &&
               std::all_of(readers.begin(), readers.end(), [&](NodeId reader) {
                   return std::binary_search(consumer.begin(), consumer.end(), reader);
               });
    }

    // Kernels with sums that one pass over memory can make.
    void join_siblings() {
        std::vector<NodeId> reductions;
        for (std::uint32_t i = 0; i < function_.nodes.size(); ++i) {
            if (function_.nodes[i].group != 0 && reduces(NodeId{i}))
                reductions.push_back(NodeId{i});
        }
        for (const NodeId a : reductions) {
            for (const NodeId b : reductions) {
                if (a < b && function_[a].type == function_[b].type &&
                    function_[a].group != function_[b].group) {
                    join_with_sibling(a, b);
                }
            }
        }
    }

    void join_with_sibling(NodeId a, NodeId b) {
        const std::vector<NodeId> first = grouping_.group_of(a);
        const std::vector<NodeId> second = grouping_.group_of(b);
        if (stands_alone(first) || stands_alone(second)) return;
        if (first.size() + second.size() > kMostNodes) return;
        std::vector<NodeId> both = first;
        both.insert(both.end(), second.begin(), second.end());
        std::ranges::sort(both);
        if (are_siblings(info(), both, a, b)) grouping_.group(std::move(both));
    }

    // All elementwise nodes of rank 0 (learning rate, bias corrections) in one kernel.
    void join_scalars() {
        std::optional<NodeId> first;
        for (std::uint32_t i = 0; i < function_.nodes.size(); ++i) {
            const NodeId id{i};
            if (function_[id].group == 0 || function_[id].type.rank() != 0) continue;
            std::vector<NodeId> nodes = grouping_.group_of(id);
            const bool scalars = std::all_of(nodes.begin(), nodes.end(), [&](NodeId member) {
                return !reduces(member) && function_[member].type.rank() == 0;
            });
            if (!scalars) continue;
            if (!first) {
                first = id;
            } else if (function_[id].group != function_[*first].group) {
                const std::vector<NodeId> known = grouping_.group_of(*first);
                nodes.insert(nodes.end(), known.begin(), known.end());
                grouping_.group(std::move(nodes));
            }
        }
    }

    Function& function_;
    Grouping grouping_;
    const std::int64_t batch_;
};

}  // namespace

void fuse(Function& function, std::int64_t batch_hint) {
    group_the_rest(function);
    Fuser(function, batch_hint).run();
}

}  // namespace netc
