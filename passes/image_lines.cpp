#include "passes/image_lines.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "ir/layout.h"
#include "passes/rewrite.h"

namespace netc {
namespace {

using Integers = std::vector<std::int64_t>;

// With fewer channels on a side vectors are not full; with fewer places most of a line is padding.
constexpr std::int64_t kLeastChannels = kLanes;
constexpr std::int64_t kLeastPlaces = 12;

// Of an axis of a gradient: how its taps go through the image, and what a line has of it.
struct LineAxis {
    std::int64_t stride = 1, pad = 0;
    std::int64_t image = 0, places = 0;  // of x, of dy
    std::int64_t phases = 1;             // of the stride that taps use
    std::int64_t reach = 0;              // of the last tap, in places of a line

    // Whether place j of a line lies before the image, or behind it, in all phases.
    bool before(std::int64_t j) const { return j * stride + phases - 1 < pad; }
    bool behind(std::int64_t j) const { return j * stride - pad >= image; }

    // Places of a row. What lies before the image in the next row is as good as what lies behind it in this one.
    std::int64_t pitch() const {
        std::int64_t shared = 0;
        while (shared < reach && before(shared) && behind(places + reach - 1 - shared)) ++shared;
        return places + reach - shared;
    }
};

struct Lines {
    LineAxis y, x;
    Attributes of_image, of_gradient;
    std::int64_t pitch = 0;
};

LineAxis line_axis(const Attributes& attributes, const Type& x, const Type& dy, std::size_t axis) {
    const auto of = [&](const char* name) { return attributes.get<Integers>(name)[axis]; };
    LineAxis line;
    line.stride = of("stride");
    line.pad = of("pad");
    line.image = x.shape[2 + axis].value();
    line.places = dy.shape[2 + axis].value();
    const std::int64_t last = of("dilation") * (of("size") - 1);
    line.phases = std::min(line.stride, last + 1);
    line.reach = last / line.stride;
    return line;
}

bool is_image(const Type& type) {
    return type.rank() == 4 && type.dtype == DType::bf16 && type.shape[1].is_static() &&
           type.shape[1].value() >= kLeastChannels && type.shape[2].is_static() &&
           type.shape[3].is_static();
}

std::optional<Lines> lines_of(const Node& node, const Type& x, const Type& dy) {
    if (node.op != OpId::conv_nd_weight_gradient || !is_image(x) || !is_image(dy)) return {};
    const Attributes& attributes = node.attributes;
    if (attributes.get<std::int64_t>("groups") != 1) return {};
    Lines lines;
    lines.y = line_axis(attributes, x, dy, 0);
    lines.x = line_axis(attributes, x, dy, 1);
    if (lines.y.places * lines.x.places < kLeastPlaces) return {};
    lines.pitch = lines.x.pitch();
    // The last place that is read, of an even number of them, at the last tap.
    const std::int64_t places = (lines.y.places * lines.pitch + 1) / 2 * 2;
    const std::int64_t last = places - 1 + lines.y.reach * lines.pitch + lines.x.reach;
    const std::int64_t rows = last / lines.pitch + 1;
    lines.of_image = {{"stride", attributes.get<Integers>("stride")},
                      {"pad", attributes.get<Integers>("pad")},
                      {"phases", Integers{lines.y.phases, lines.x.phases}},
                      {"size", Integers{rows, lines.pitch}}};
    lines.of_gradient = {{"stride", attributes.get<Integers>("stride")},
                         {"dilation", attributes.get<Integers>("dilation")},
                         {"size", attributes.get<Integers>("size")}};
    return lines;
}

}  // namespace

void image_lines(Function& function) {
    rewrite(function, [](Rebuilder& to, const Node& node) -> std::optional<NodeId> {
        if (node.inputs.size() != 2) return std::nullopt;
        const auto type = [&](std::size_t operand) -> const Type& {
            return to.result()[node.inputs[operand]].type;
        };
        const auto lines = lines_of(node, type(0), type(1));
        if (!lines) return std::nullopt;
        // lines_of has seen that all of it fits.
        const auto make = [&](OpId op, std::vector<NodeId> inputs, Attributes attributes) {
            return to.try_append(op, std::move(inputs), std::move(attributes), node.origin).value();
        };
        const NodeId a = make(OpId::image_lines, {node.inputs[0]}, lines->of_image);
        const NodeId b = make(OpId::image_pairs, {node.inputs[1]}, {{"pitch", lines->pitch}});
        return make(OpId::line_weight_gradient, {a, b}, lines->of_gradient);
    });
}

}  // namespace netc
