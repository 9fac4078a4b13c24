#include "passes/fuse.h"

#include <algorithm>
#include <set>

#include "passes/grouping.h"

namespace netc {
namespace {

// Up to this many elements, a whole tensor may be the work of one outer iteration.
constexpr std::int64_t kSmall = 4096;
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
    explicit Fuser(Function& function) : function_(function), grouping_(function) {}

    void run() {
        for (std::uint32_t i = 0; i < function_.nodes.size(); ++i) {
            if (function_.nodes[i].group == 0) continue;
            while (join_a_producer(NodeId{i})) {
            }
        }
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
    // there are enough of them to share the work (batch normalisation).
    bool all_inside(const std::vector<NodeId>& producer, const std::vector<NodeId>& consumer,
                    const Volume& kept) const {
        std::vector<NodeId> both = producer;
        both.insert(both.end(), consumer.begin(), consumer.end());
        std::sort(both.begin(), both.end());
        const bool rows_behind = has_reduction(producer) && kept.elements >= kLanes;
        for (NodeId id : outputs(info(), both)) {
            const Volume volume = volume_of(grouping_.shape(id));
            if (!volume.exceeds(kept)) continue;
            if (!volume.grows && volume.elements <= kSmall) continue;
            const bool in_consumer = std::binary_search(consumer.begin(), consumer.end(), id);
            if (!(rows_behind && in_consumer)) return false;
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
};

}  // namespace

void fuse(Function& function) {
    group_the_rest(function);
    Fuser(function).run();
}

}  // namespace netc
