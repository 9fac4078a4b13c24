// Line charts as SVG: learning curves for `netc plot` and `train --plot`.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace netc {

struct Curve {
    std::string name;
    std::vector<std::pair<double, double>> points;  // not-finite ones interrupt the line
    std::optional<std::size_t> colour = {};         // that of its place in the panel otherwise
    bool dashed = false;
};

struct Panel {
    std::string title;  // of the vertical axis: "loss"
    bool logarithmic = false;
    std::vector<Curve> curves;
};

struct Chart {
    std::string title;
    std::string horizontal = "epoch";
    std::vector<Panel> panels;  // side by side
};

// Self-contained, no scripts and no fonts to load; reads well on light and dark pages.
std::string to_svg(const Chart& chart);

}  // namespace netc
