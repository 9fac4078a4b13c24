#include "passes/channels_last.h"

#include <algorithm>

namespace netc {
namespace {

// An input with fewer channels is read where it lies: each line of its rows serves several steps.
constexpr std::int64_t kFewChannels = 16;
constexpr std::int64_t kAliasing = 512;  // elements: 2 KiB of f32

bool is_image(const Shape& shape) {
    return shape.size() >= 3 && shape[0] == Dim::symbol(kBatchSymbol);
}

bool reads_axis(const Access& access, std::size_t axis) {
    return std::ranges::any_of(access.index, [&](const Index& index) {
        return index.depends_on(static_cast<AxisId>(axis));
    });
}

// The dims that reduced axes run over first, in the order of the sum, then the others, the vector's last.
std::vector<std::int32_t> order_of_weights(const Access& access, std::size_t result_rank,
                                           std::size_t reduced) {
    const std::size_t rank = access.index.size();
    std::vector<std::int32_t> order;
    for (std::size_t k = 0; k < reduced; ++k) {
        for (std::size_t d = 0; d < rank; ++d) {
            const auto dim = static_cast<std::int32_t>(d);
            if (std::ranges::count(order, dim) == 0 &&
                access.index[d].depends_on(static_cast<AxisId>(result_rank + k)) &&
                !access.index[d].depends_on(1)) {
                order.push_back(dim);
            }
        }
    }
    std::vector<std::int32_t> rest;
    for (std::size_t d = 0; d < rank; ++d) {
        const auto dim = static_cast<std::int32_t>(d);
        if (std::ranges::count(order, dim) == 0) rest.push_back(dim);
    }
    std::ranges::stable_partition(rest, [&](std::int32_t dim) {
        return !access.index[static_cast<std::size_t>(dim)].depends_on(1);
    });
    order.insert(order.end(), rest.begin(), rest.end());
    return order;
}

// Values that share a place in images: an operator that takes element [b, c, ...] from [b, c, ...].
bool keeps_channels(const GroupInfo& info, NodeId id, const Access& access) {
    const Node& node = info.function[id];
    const Type& operand = info.function[node.inputs[access.operand]].type;
    return is_image(node.type.shape) && operand.rank() == node.type.rank() &&
           is_image(operand.shape) && access.indirect < 0 && access.index[0].is_axis(0) &&
           access.index[1].is_axis(1);
}

// Takes images as they lie and makes something else of them.
bool transforms_images(OpId op) {
    return op == OpId::winograd_input || op == OpId::winograd_output_gradient ||
           op == OpId::image_lines || op == OpId::image_pairs;
}

// Images are what convolutions read and write, and what elementwise operators and windows make of them.
std::vector<bool> images_of(const GroupInfo& info) {
    const Function& function = info.function;
    std::vector<bool> image(function.nodes.size());
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        const Node& node = function.nodes[i];
        if (transforms_images(node.op)) image[node.inputs[0].index] = true;
        if (node.op == OpId::winograd_output) image[i] = true;
        const auto contraction = image_contraction(info, NodeId{i});
        if (!contraction) continue;
        image[i] = image[i] || contraction->result_is_image;
        for (std::size_t operand : contraction->images)
            image[function.nodes[i].inputs[operand].index] = true;
    }
    for (bool grown = true; grown;) {
        grown = false;
        for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
            if (info.probes[i].contraction) continue;
            for (const Access& access : info.probes[i].reads) {
                if (!keeps_channels(info, NodeId{i}, access)) continue;
                const std::uint32_t operand = function.nodes[i].inputs[access.operand].index;
                if (image[i] == image[operand]) continue;
                image[i] = image[operand] = grown = true;
            }
        }
    }
    return image;
}

// A reshape that joins channels and places reads elements in an order that no loop can follow.
bool reads_in_another_order(const GroupInfo& info, NodeId reader, const Access& access) {
    if (transforms_images(info.function[reader].op)) return false;
    return info.function[reader].op == OpId::reshape ||
           std::ranges::any_of(access.index, [](const Index& index) {
               return std::ranges::any_of(index.terms(), [](const IndexTerm& term) {
                   return term.kind != IndexTerm::Kind::axis;
               });
           });
}

}  // namespace

// Places a multiple of 2 KiB apart would fall into few sets of the caches.
Layout channels_last(const Type& type) {
    Layout layout = row_major(type.rank());
    std::rotate(layout.order.begin() + 1, layout.order.begin() + 2, layout.order.end());
    const Dim& channels = type.shape[1];
    if (channels.is_static() && channels.value() % kAliasing == 0) layout.extra = kLanes;
    return layout;
}

Layout layout_of_weight_gradient(std::size_t rank) {
    Layout layout = row_major(rank);
    std::rotate(layout.order.begin(), layout.order.begin() + 2, layout.order.end());
    std::swap(layout.order[rank - 2], layout.order[rank - 1]);
    return layout;
}

std::optional<ImageContraction> image_contraction(const GroupInfo& info, NodeId id) {
    const Probe& probe = info.probes[id.index];
    if (!probe.contraction || probe.reads.size() != 2) return std::nullopt;
    const Node& node = info.function[id];
    const Shape& result = node.type.shape;
    if (result.size() < 3) return std::nullopt;
    ImageContraction found;
    found.result_is_image = is_image(result);
    for (const Access& access : probe.reads) {
        const Shape& shape = info.function[node.inputs[access.operand]].type.shape;
        if (shape.size() != result.size() || access.indirect >= 0) return std::nullopt;
        if (is_image(shape)) {
            found.images.push_back(access.operand);
            continue;
        }
        if (!product(shape).is_static() || found.weights) return std::nullopt;
        found.weights = access.operand;
        // Channels come from the weights, places do not.
        if (!reads_axis(access, 1) || reads_axis(access, result.size() - 1)) return std::nullopt;
    }
    if (found.result_is_image) {
        if (!found.weights || !result[1].is_static()) return std::nullopt;
        found.vector = result[1].value();
        return found;
    }
    // A gradient of weights: both operands are images, summed over samples and places.
    if (found.images.size() != 2 || !product(result).is_static()) return std::nullopt;
    found.vector = result[0].value();
    return found;
}

void choose_channels_last(Function& function, const GroupInfo& info, LayoutConverter& converter) {
    const std::vector<bool> image = images_of(info);
    std::vector<bool> result(function.nodes.size());
    for (const auto& r : function.results) result[r.value.index] = true;
    for (const auto& u : function.updates) result[u.value.index] = true;
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        Node& node = function.nodes[i];
        const std::size_t rank = node.type.rank();
        if (image[i] && !info.is_virtual(NodeId{i})) {
            if (info.is_leaf(NodeId{i})) {
                const Dim& channels = node.type.shape[1];
                if (!channels.is_static() || channels.value() >= kFewChannels)
                    converter.convert(NodeId{i}, channels_last(node.type));
            } else if (!result[i]) {
                node.layout = channels_last(node.type);
            }
        }
        const auto contraction = image_contraction(info, NodeId{i});
        const bool of_weights = (contraction && !contraction->result_is_image) ||
                                node.op == OpId::winograd_weights_gradient ||
                                node.op == OpId::line_weight_gradient;
        if (of_weights && !result[i]) {
            node.layout = layout_of_weight_gradient(rank);
        }
        for (const Access& access : info.probes[i].reads) {
            const NodeId operand = node.inputs[access.operand];
            if (contraction && contraction->weights == access.operand) {
                converter.lay_out_operand(
                    NodeId{i}, access.operand,
                    order_of_weights(access, rank, info.probes[i].reduced.size()));
            } else if (image[operand.index] && !contraction && !info.is_virtual(operand) &&
                       reads_in_another_order(info, NodeId{i}, access)) {
                converter.convert_operand(NodeId{i}, access.operand,
                                          row_major(function[operand].type.rank()));
            }
        }
    }
}

}  // namespace netc
