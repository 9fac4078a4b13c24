// Learning curves as SVG. Colours are those of Okabe and Ito, told apart by colour-blind readers
// too; text and axes take a middle grey that reads on white and on black.
#include "runtime/files/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace netc {
namespace {

constexpr double kWidth = 480, kHeight = 300;  // of one panel, with its margins
constexpr double kLeft = 62, kRight = 16, kTop = 34, kBottom = 44, kTitle = 30;
constexpr std::array<const char*, 7> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#e69f00", "#56b4e9", "#8c6bb1"};

struct Range {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();
    void add(double value) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
};

std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text) {
        switch (c) {
            case '<': result += "&lt;"; break;
            case '>': result += "&gt;"; break;
            case '&': result += "&amp;"; break;
            case '"': result += "&quot;"; break;
            default: result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
        }
    }
    return result;
}

// 1, 2 or 5 times a power of ten, so that about `wanted` steps cover the range.
double nice_step(double span, int wanted) {
    const double raw = span / wanted;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    const double lead = raw / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

// Values to pixels along one axis, and where its ticks stand.
struct Axis {
    Range range;
    double from = 0, to = 0;  // pixels
    bool logarithmic = false;
    std::vector<double> ticks;

    double place(double value) const {
        double low = range.low, high = range.high;
        if (logarithmic) {
            value = std::log10(value);
            low = std::log10(low);
            high = std::log10(high);
        }
        return from + (to - from) * (value - low) / (high - low);
    }
};

Axis make_axis(Range range, double from, double to, bool logarithmic) {
    Axis axis{range, from, to, logarithmic, {}};
    if (!(range.low <= range.high)) axis.range = range = {0, 1};
    if (logarithmic) {
        const double low = std::floor(std::log10(range.low) + 1e-9);
        double high = std::ceil(std::log10(range.high) - 1e-9);
        if (high <= low) high = low + 1;
        axis.range = {std::pow(10.0, low), std::pow(10.0, high)};
        const double stride = std::max(1.0, std::ceil((high - low) / 6));
        for (double e = low; e <= high + 1e-9; e += stride) axis.ticks.push_back(std::pow(10.0, e));
        return axis;
    }
    double span = range.high - range.low;
    if (span <= std::abs(range.high) * 1e-12) span = std::max(1e-12, std::abs(range.high));
    const double step = nice_step(span, 5);
    axis.range.low = std::floor(range.low / step + 1e-9) * step;
    axis.range.high = std::ceil(range.high / step - 1e-9) * step;
    if (axis.range.high <= axis.range.low) axis.range.high = axis.range.low + step;
    const int count = static_cast<int>(std::lround((axis.range.high - axis.range.low) / step));
    for (int i = 0; i <= count && i < 50; ++i) axis.ticks.push_back(axis.range.low + i * step);
    return axis;
}

std::string tick_text(double value) {
    if (std::abs(value) < 1e-14) return "0";
    return fmt::format("{:.6g}", value);
}

bool drawable(const std::pair<double, double>& point, bool logarithmic) {
    return std::isfinite(point.first) && std::isfinite(point.second) &&
           (!logarithmic || point.second > 0);
}

std::string path_of(const Curve& curve, const Axis& across, const Axis& up) {
    std::string path;
    bool pen_down = false;
    for (const auto& point : curve.points) {
        if (!drawable(point, up.logarithmic)) {
            pen_down = false;
            continue;
        }
        path += fmt::format("{}{:.1f} {:.1f}", pen_down ? " L" : " M", across.place(point.first),
                            up.place(point.second));
        pen_down = true;
    }
    return path;
}

std::string grid(const Axis& across, const Axis& up, const std::string& label) {
    std::string svg;
    for (const double tick : up.ticks) {
        const double y = up.place(tick);
        svg += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", across.from, y,
                           across.to);
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                           across.from - 6, y + 4, tick_text(tick));
    }
    for (const double tick : across.ticks) {
        const double x = across.place(tick);
        svg += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>", x, up.from, up.to);
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", x,
                           up.from + 16, tick_text(tick));
    }
    svg += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}V{:.1f}H{:.1f}\"/>\n", across.from,
                       up.to, up.from, across.to);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                       (across.from + across.to) / 2, up.from + 34, escaped(label));
    return svg;
}

// Where the names of a panel's curves stand: the last one ends the line, and those that do not fit beside
// the title go on further lines.
struct Label {
    std::size_t line = 0;
    double right = 0;
};

constexpr double kLine = 16, kSample = 22;  // of the legend: a line's height, a stroke's length

bool has_dashes(const Panel& panel) {
    return std::ranges::any_of(panel.curves, [](const Curve& curve) { return curve.dashed; });
}

std::vector<Label> legend_of(const Panel& panel) {
    std::vector<Label> labels(panel.curves.size());
    const double width = kWidth - kLeft - kRight;
    double left = width;
    std::size_t line = 0;
    for (std::size_t i = panel.curves.size(); i-- > 0;) {
        const double wanted = 6.6 * static_cast<double>(panel.curves[i].name.size()) +
                              (has_dashes(panel) ? kSample : 0);
        const double taken = line == 0 ? 14 + 7.2 * static_cast<double>(panel.title.size()) : 0;
        if (left - wanted < taken && (line == 0 || left < width)) {
            ++line;
            left = width;
        }
        labels[i] = {line, left};
        left -= wanted + 14;
    }
    return labels;
}

std::string draw(const Panel& panel, const std::string& horizontal, double left, double top,
                 double legend_height) {
    Range x, y;
    for (const Curve& curve : panel.curves) {
        for (const auto& point : curve.points) {
            if (!drawable(point, panel.logarithmic)) continue;
            x.add(point.first);
            y.add(point.second);
        }
    }
    const bool empty = !(x.low <= x.high);
    const Axis across = make_axis(x, left + kLeft, left + kWidth - kRight, false);
    const Axis up = make_axis(y, top + legend_height + kHeight - kBottom,
                              top + legend_height + kTop, panel.logarithmic && !empty);
    std::string svg = fmt::format("<text class=\"head\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                                  across.from, top + 14, escaped(panel.title));
    svg += grid(across, up, horizontal);
    const std::vector<Label> labels = legend_of(panel);
    const bool samples = has_dashes(panel);
    for (std::size_t i = panel.curves.size(); i-- > 0;) {
        const Curve& curve = panel.curves[i];
        const char* colour = kColours[curve.colour.value_or(i) % kColours.size()];
        const char* dashes = curve.dashed ? " stroke-dasharray=\"4 3\"" : "";
        svg += fmt::format("<path class=\"curve\" stroke=\"{}\"{} d=\"{}\"/>\n", colour, dashes,
                           path_of(curve, across, up));
        // One point makes no line; a run of one epoch still shows something.
        if (curve.points.size() == 1 && drawable(curve.points[0], panel.logarithmic)) {
            svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n",
                               across.place(curve.points[0].first),
                               up.place(curve.points[0].second), colour);
        }
        const double right = across.from + labels[i].right;
        const double base = top + 14 + kLine * static_cast<double>(labels[i].line);
        svg += fmt::format(
            "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\" style=\"fill:{}\">{}</text>\n",
            right, base, colour, escaped(curve.name));
        if (samples) {
            svg += fmt::format(
                "<path class=\"curve\" stroke=\"{}\"{} d=\"M{:.1f} {:.1f}h{:.0f}\"/>\n", colour,
                dashes, right - 6.6 * static_cast<double>(curve.name.size()) - kSample, base - 4,
                kSample - 6);
        }
    }
    if (empty) {
        svg +=
            fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">no values</text>\n",
                        (across.from + across.to) / 2, (up.from + up.to) / 2);
    }
    return svg;
}

}  // namespace

std::string to_svg(const Chart& chart) {
    const double width =
        kWidth * static_cast<double>(std::max<std::size_t>(1, chart.panels.size()));
    std::size_t lines = 0;  // of the longest legend, beyond the first
    for (const Panel& panel : chart.panels) {
        for (const Label& label : legend_of(panel)) lines = std::max(lines, label.line);
    }
    const double legend_height = kLine * static_cast<double>(lines);
    const double height = kTitle + legend_height + kHeight;
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
        "width=\"{0:.0f}\" "
        "height=\"{1:.0f}\">\n<style>text{{font:12px sans-serif;fill:#777}}"
        ".head{{font-weight:bold}}.title{{font-size:15px;font-weight:bold}}"
        ".grid{{stroke:#999;stroke-opacity:.25;fill:none}}.axis{{stroke:#777;fill:none}}"
        ".curve{{fill:none;stroke-width:1.8;stroke-linejoin:round}}</style>\n",
        width, height);
    svg += fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"22\">{}</text>\n", kLeft,
                       escaped(chart.title));
    for (std::size_t i = 0; i < chart.panels.size(); ++i) {
        svg += draw(chart.panels[i], chart.horizontal, kWidth * static_cast<double>(i), kTitle,
                    legend_height);
    }
    return svg + "</svg>\n";
}

}  // namespace netc
