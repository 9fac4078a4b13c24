// What theory says about a network: bounds and estimates, each with its formula and where it is from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/network.h"
#include "runtime/files/safetensors.h"

namespace netc {

struct TheoryLine {
    std::string what;     // "parameters"
    std::string value;    // "61_706"
    std::string formula;  // "sum n_l (n_(l-1) + 1)"
    std::string source;   // "Montufar et al. 2014"
};

// A tensor of floats; empty where there is none of this name.
std::vector<double> numbers_of(const Safetensors& weights, std::string_view name);

// `weights`: norms are theirs; without them those that the initializers lead one to expect.
std::vector<TheoryLine> theory_of(const Model& model, const Safetensors* weights);

// log2 of the largest number of linear regions that a network of hinges with these widths can have,
// after Serra, Tjandraatmadja and Ramalingam 2018, theorem 1.
double log2_linear_regions(std::int64_t inputs, const std::vector<std::int64_t>& widths);

}  // namespace netc
