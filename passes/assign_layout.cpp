#include "passes/assign_layout.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "passes/channels_last.h"
#include "passes/group.h"
#include "passes/layout_converter.h"
#include "passes/reduction_order.h"

namespace netc {
namespace {

// Results of at most this many elements a sample are stored strided rather than converted.
constexpr std::int64_t kSmallSample = 64;
// Lanes must win by this much: they cost conversions.
constexpr double kMargin = 1.05;
// Elements of weights from which on `prepare` lays them out as streams, where a few samples are all that uses them.
constexpr std::int64_t kManyWeights = 1 << 16;
// Elements of rows that are 1 KiB long.
constexpr std::int64_t kAliasing = 256;
// Elements of channels in batch lanes that are 2 KiB long, and the lines of 16 lanes put between them.
constexpr std::int64_t kLanesAliasing = 512, kLinesApart = 5;
// What rows of images lose at their borders.
constexpr double kRowsOfImages = 0.5;

bool has_batch_first(const Shape& shape) {
    return !shape.empty() && shape[0] == Dim::symbol(kBatchSymbol);
}

std::int64_t elements_a_sample(const Shape& shape) {
    const Dim count = product({shape.begin() + 1, shape.end()});
    return count.is_static() ? count.value() : 0;
}

double share(std::int64_t n) {
    return static_cast<double>(n) / static_cast<double>((n + kLanes - 1) / kLanes * kLanes);
}

// Whether an index joins an axis of the result with a reduced one: a convolution of more than one tap.
bool probe_is_windowed(const Probe& probe, std::size_t rank) {
    return std::ranges::any_of(probe.reads, [&](const Access& access) {
        return std::ranges::any_of(access.index, [&](const Index& index) {
            bool result = false, reduced = false;
            for (AxisId axis = 0; axis < rank + probe.reduced.size(); ++axis) {
                if (index.depends_on(axis)) (axis < rank ? result : reduced) = true;
            }
            return result && reduced;
        });
    });
}

// A contraction as the estimate sees it.
struct Contraction {
    NodeId node;
    double operations = 0;
    double rows = 0, lanes = 0, channels = 0;  // share of a vector that does work
    bool sums_over_lanes = false;
    // Reduces the batch one sample after the other, many results: a dense weight gradient.
    bool sequential_over_batch = false;
    bool of_image_weights = false;  // and that of a convolution
};

Contraction estimate(const GroupInfo& info, NodeId id, std::int64_t batch) {
    const Type& type = info.function[id].type;
    const Probe& probe = info.probes[id.index];
    Contraction c;
    c.node = id;
    c.operations = 2;
    ReductionShape shape;
    shape.contraction = true;
    const Dim results = product(type.shape);
    if (results.is_static()) shape.results = results.value();
    shape.widest = widest_dim(type.shape);
    c.operations *= static_cast<double>(results.extent().value_or(Extent{0, 1}).at(batch));
    bool reduces_batch = false;
    for (std::size_t k = 0; k < probe.reduced.size(); ++k) {
        const Extent extent = probe.reduced[k].extent().value_or(Extent{0, 1});
        shape.axes.push_back(static_cast<AxisId>(k));
        shape.extents.push_back(extent);
        c.operations *= static_cast<double>(extent.at(batch));
        reduces_batch = reduces_batch || !extent.is_static();
    }
    c.sums_over_lanes = reduction_order(shape).kind == OrderKind::lanes;
    c.sequential_over_batch = reduces_batch && !c.sums_over_lanes;
    const std::int64_t last =
        type.rank() == 0 ? 1 : type.shape.back().extent().value_or(Extent{0, 1}).at(batch);
    c.rows = c.sums_over_lanes ? 1.0 / static_cast<double>(kLanes) : share(last);
    const bool over_batch = has_batch_first(type.shape) || c.sums_over_lanes;
    c.lanes = over_batch ? share(batch) : c.rows;
    const std::optional<ImageContraction> image = image_contraction(info, id);
    c.channels = image && !c.sums_over_lanes ? share(image->vector) : c.rows;
    c.of_image_weights = c.sequential_over_batch && image && !image->result_is_image;
    // Rows of an image have borders, and neighbours that a stride leaves out.
    if (image && probe_is_windowed(probe, type.rank())) c.rows *= kRowsOfImages;
    return c;
}

// The operand that has the last dim of the result, and which of its dims that is. Vectors run there.
struct VectorOperand {
    std::size_t operand = 0;
    std::size_t dim = 0;
};

std::optional<VectorOperand> vector_operand(const GroupInfo& info, NodeId id) {
    const Type& type = info.function[id].type;
    if (type.rank() == 0) return std::nullopt;
    const auto axis = static_cast<AxisId>(type.rank() - 1);
    std::optional<VectorOperand> found;
    for (const Access& access : info.probes[id.index].reads) {
        for (std::size_t d = 0; d < access.index.size(); ++d) {
            if (!access.index[d].depends_on(axis)) continue;
            if (found || !access.index[d].is_axis(axis)) return std::nullopt;
            found = VectorOperand{access.operand, d};
        }
    }
    return found;
}

// A buffer in lanes is read at one axis for its first dim, the batch's. True where all that read the
// value do so, also through views and elementwise operations, which may be substituted into what reads
// them: a reshape that joins the batch with other dims is what does not.
std::vector<bool> readable_in_lanes(const GroupInfo& info) {
    const Function& function = info.function;
    std::vector<bool> readable(function.nodes.size(), true);
    for (auto i = static_cast<std::uint32_t>(function.nodes.size()); i-- > 0;) {
        const Node& node = function.nodes[i];
        const Probe& probe = info.probes[i];
        const std::size_t rank = node.type.rank();
        for (const Access& access : probe.reads) {
            const NodeId operand = node.inputs[access.operand];
            if (!has_batch_first(function[operand].type.shape)) continue;
            bool direct = access.indirect != 0;
            bool along_batch = false;
            for (std::size_t d = 0; d < rank + probe.reduced.size() && direct; ++d) {
                const Dim& extent = d < rank ? node.type.shape[d] : probe.reduced[d - rank];
                along_batch = along_batch || (extent == Dim::symbol(kBatchSymbol) &&
                                              access.index[0].is_axis(static_cast<AxisId>(d)));
            }
            const bool carries_on =
                probe.reduces ||
                (readable[i] && has_batch_first(node.type.shape) && access.index[0].is_axis(0));
            if (!along_batch || !carries_on) readable[operand.index] = false;
        }
    }
    return readable;
}

// Values that only operators read which take elements where they lie, not in another order: also through virtual ones.
std::vector<bool> read_in_place(const GroupInfo& info) {
    const Function& function = info.function;
    std::vector<bool> in_place(function.nodes.size(), true);
    for (auto i = static_cast<std::uint32_t>(function.nodes.size()); i-- > 0;) {
        const bool passes_on = info.is_virtual(NodeId{i});
        for (const Access& access : info.probes[i].reads) {
            const bool plain =
                access.indirect < 0 &&
                std::ranges::all_of(
                    access.index,
                    [](const Index& index) {
                        return std::ranges::all_of(index.terms(), [](const IndexTerm& term) {
                            return term.kind == IndexTerm::Kind::axis;
                        });
                    });
            if (!plain || function.nodes[i].op == OpId::reshape || (passes_on && !in_place[i]))
                in_place[function.nodes[i].inputs[access.operand].index] = false;
        }
    }
    for (const auto& result : function.results) in_place[result.value.index] = false;
    for (const auto& update : function.updates) in_place[update.value.index] = false;
    return in_place;
}

// Channels of images whose places are a power of two lie a multiple of 2 KiB apart: some lines more, as many as a loop reads
// side by side, spread them over the sets of the caches.
Layout lanes_of(const Type& type, bool in_place) {
    Layout layout = batch_lanes(type.rank());
    if (type.rank() < 3 || !in_place) return layout;
    const Dim places = product({type.shape.begin() + 2, type.shape.end()});
    if (places.is_static() && places.value() * kLanes % kLanesAliasing == 0)
        layout.extra = kLinesApart;
    return layout;
}

// A gradient of many weights, one sample after the other: vectors run over channels.
void read_channels_last(Function& function, NodeId id, const std::vector<bool>& result,
                        LayoutConverter& inserter) {
    Node& node = function[id];
    if (!result[id.index]) node.layout = layout_of_weight_gradient(node.type.rank());
    for (std::size_t k = 0; k < node.inputs.size(); ++k)
        inserter.convert_operand(id, k, channels_last(function[node.inputs[k]].type));
}

void choose_lanes(Function& function, const GroupInfo& info,
                  const std::vector<Contraction>& contractions, LayoutConverter& inserter) {
    std::vector<bool> result(function.nodes.size());
    for (const auto& r : function.results) result[r.value.index] = true;
    for (const auto& u : function.updates) result[u.value.index] = true;
    const std::vector<bool> readable = readable_in_lanes(info);
    const std::vector<bool> in_place = read_in_place(info);
    std::vector<bool> converted(function.nodes.size());  // leaves, which lie in rows
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        Node& node = function.nodes[i];
        if (!has_batch_first(node.type.shape) || info.is_virtual(NodeId{i}) || !readable[i])
            continue;
        const std::int64_t sample = elements_a_sample(node.type.shape);
        if (info.is_leaf(NodeId{i})) {
            converted[i] = sample > 1;
            if (converted[i]) inserter.convert(NodeId{i}, lanes_of(node.type, in_place[i]));
        } else if (!result[i] || sample > kSmallSample) {
            node.layout = lanes_of(node.type, in_place[i]);
        }
    }
    for (const Contraction& c : contractions) {
        if (!c.sequential_over_batch) continue;
        if (c.of_image_weights) {
            read_channels_last(function, c.node, result, inserter);
            continue;
        }
        const std::optional<VectorOperand> v = vector_operand(info, c.node);
        if (!v) continue;
        const std::vector<NodeId>& inputs = info.function[c.node].inputs;
        for (std::size_t k = 0; k < inputs.size(); ++k) {
            if (k != v->operand && !converted[inputs[k].index]) continue;
            const std::size_t rank = info.function[inputs[k]].type.rank();
            inserter.convert_operand(c.node, k, row_major(rank));
        }
    }
}

// The operands of products along which vectors run: `prepare` makes streams of large weights. With channels last, of
// those that are no convolution's, and nothing else.
void choose_rows(Function& function, const GroupInfo& info,
                 const std::vector<Contraction>& contractions, LayoutChoice choice,
                 LayoutConverter& inserter) {
    const bool channels_last = choice == LayoutChoice::channels;
    for (const Contraction& c : contractions) {
        if (c.sums_over_lanes || (channels_last && image_contraction(info, c.node))) continue;
        const std::optional<VectorOperand> v = vector_operand(info, c.node);
        if (!v) continue;
        const Type& type = info.function[info.function[c.node].inputs[v->operand]].type;
        const Shape& shape = type.shape;
        // One copy for many samples; a value of the batch is not worth it.
        if (!product(shape).is_static()) continue;
        const NodeId operand = info.function[c.node].inputs[v->operand];
        const OpId op = info.function[operand].op;
        const bool prepared =
            (choice == LayoutChoice::body ? op == OpId::input
                                          : function.name == "forward" && op == OpId::variable) &&
            product(shape).value() >= kManyWeights;
        if (shape.size() > 1 && (is_part_of_word(type.dtype) || prepared)) {
            std::vector<std::int32_t> order = row_major(shape.size()).order;
            std::erase(order, static_cast<std::int32_t>(v->dim));
            order.push_back(static_cast<std::int32_t>(v->dim));
            inserter.lay_out_operand(c.node, v->operand, std::move(order));
            continue;
        }
        if (v->dim + 1 == shape.size() || channels_last) continue;
        Layout layout = row_major(shape.size());
        std::rotate(layout.order.begin() + static_cast<std::ptrdiff_t>(v->dim),
                    layout.order.begin() + static_cast<std::ptrdiff_t>(v->dim) + 1,
                    layout.order.end());
        inserter.convert_operand(c.node, v->operand, std::move(layout));
    }
}

// A gradient of weights goes along the batch, through rows. Rows a multiple of 1 KiB apart would fall into few sets of the caches.
void keep_rows_apart(Function& function, const GroupInfo& info,
                     const std::vector<Contraction>& contractions) {
    const std::vector<bool> in_place = read_in_place(info);
    for (const Contraction& c : contractions) {
        if (!c.sequential_over_batch) continue;
        for (const NodeId operand : info.function[c.node].inputs) {
            Node& node = function.nodes[operand.index];
            const std::size_t rank = node.type.rank();
            if (rank < 2 || !in_place[operand.index] || info.is_leaf(operand) ||
                info.is_virtual(operand) || !node.layout.order.empty())
                continue;
            const Dim& row = node.type.shape.back();
            if (!row.is_static() || row.value() % kAliasing != 0) continue;
            node.layout = row_major(rank);
            node.layout.extra = kLanes;
        }
    }
}

std::string_view name_of(LayoutChoice choice) {
    switch (choice) {
        case LayoutChoice::lanes: return "batch lanes";
        case LayoutChoice::channels: return "channels last";
        default: return "row-major";
    }
}

}  // namespace

std::string assign_layout(Function& function, std::int64_t batch_hint, LayoutChoice choice,
                          bool in_blocks) {
    const GroupInfo info(function);
    std::vector<Contraction> contractions;
    double rows = 0, lanes = 0, channels = 0;
    bool by_tiles = false;  // images that are transformed, their channels along vectors
    std::string lines;
    for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
        by_tiles = by_tiles || function.nodes[i].op == OpId::winograd_input ||
                   function.nodes[i].op == OpId::winograd_output ||
                   function.nodes[i].op == OpId::image_lines;
        if (!info.probes[i].contraction) continue;
        const Contraction c = estimate(info, NodeId{i}, std::max<std::int64_t>(1, batch_hint));
        rows += c.operations / c.rows;
        lanes += c.operations / c.lanes;
        channels += c.operations / c.channels;
        lines += fmt::format("  {} -> {}: {:.0f} operations, vectors filled {:.0f} % in rows, "
                             "{:.0f} % in lanes, {:.0f} % channels last\n",
                             op_def(function.nodes[i].op).name, function.nodes[i].type.to_string(),
                             c.operations, 100 * c.rows, 100 * c.lanes, 100 * c.channels);
        contractions.push_back(c);
    }
    if (choice == LayoutChoice::estimated) {
        const bool few_images = channels >= rows;
        const double best = few_images ? rows : channels;
        choice = by_tiles                 ? LayoutChoice::channels
                 : lanes * kMargin < best ? LayoutChoice::lanes
                 : few_images             ? LayoutChoice::rows
                                          : LayoutChoice::channels;
    }
    LayoutConverter inserter(function, in_blocks);
    if (choice == LayoutChoice::lanes) {
        choose_lanes(function, info, contractions, inserter);
    } else {
        const bool channels_last = choice == LayoutChoice::channels;
        if (channels_last) choose_channels_last(function, info, inserter);
        choose_rows(function, info, contractions, choice, inserter);
        if (!channels_last) keep_rows_apart(function, info, contractions);
    }
    inserter.run();
    return fmt::format("{}: {} at batch {}\n{}", function.name, name_of(choice), batch_hint, lines);
}

}  // namespace netc
