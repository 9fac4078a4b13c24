// A model layer by layer, for `summary` and `explain`: shapes, parameters, work, memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/workbench.h"

namespace netc {

struct LayerRow {
    std::string path, kind, shape;
    std::int64_t parameters = 0, state = 0;
    double flops = 0;             // a sample
    double activation_bytes = 0;  // a sample
};

// In the order of the forward pass; a row for each instance, and for each place in the model's own text.
std::vector<LayerRow> layer_rows(const Model& model, const SourceMap& sources);
// 2 for each multiply-accumulate of a sample.
double node_flops(const Function& function, const Node& node);
double numbers_per_sample(const Type& type);

// Workspace and weights of a call for this batch; optimizer too when training.
Result<double> memory_of(const Model& model, const TrainSection* section, const Options& options,
                         std::string_view entry, std::int64_t batch);

// 61_706; 1.23 MB.
std::string with_separators(std::int64_t value);
std::string amount(double value, const char* unit);

}  // namespace netc
