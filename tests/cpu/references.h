// What numeric tests compare with: a function evaluated in double precision by each record's `lower`, with no pass and
// no backend in between.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "../unit/op_table.h"
#include "program_support.h"

namespace netc::testing {

inline std::vector<double> numbers_of(const test::Tensor& tensor) {
    std::vector<double> numbers;
    for (const test::Cell& cell : tensor.cells) {
        numbers.push_back(is_float(tensor.dtype) ? cell.number : static_cast<double>(cell.integer));
    }
    return numbers;
}

inline Numbers inputs_of(const Function& function, const std::vector<test::Tensor>& tensors) {
    Numbers inputs;
    for (std::size_t k = 0; k < tensors.size(); ++k) {
        inputs[function.inputs[k].name] = numbers_of(tensors[k]);
    }
    return inputs;
}

// All results, by name.
inline Numbers direct(const Function& function, const std::vector<test::Tensor>& tensors,
                      std::int64_t batch) {
    std::string problem;
    const std::vector<test::Tensor> values = test::evaluate(function, tensors, batch, problem);
    CHECK(problem == "");
    Numbers results;
    for (const Function::Result& result : function.results) {
        results[result.name] = numbers_of(values[result.value.index]);
    }
    return results;
}

inline std::vector<double> only_result(const Numbers& results) {
    REQUIRE(results.size() == 1);
    return results.begin()->second;
}

inline std::vector<test::Tensor> magnitudes(std::vector<test::Tensor> tensors) {
    for (test::Tensor& tensor : tensors) {
        for (test::Cell& cell : tensor.cells) cell.number = std::abs(cell.number);
    }
    return tensors;
}

}  // namespace netc::testing
