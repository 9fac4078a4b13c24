// Arrays that users hand to a network and get back from it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/workbench.h"
#include "runtime/files/npy.h"

namespace netc {

// The inputs of one call, converted to the entry's dtypes.
struct CallInputs {
    std::int64_t batch = 0;
    std::vector<Array> arrays;  // in the entry's order
    std::vector<const std::byte*> pointers() const;
};

// The shape of an input or output for a batch.
std::vector<std::int64_t> shape_at(const EntryArgument& argument, std::int64_t batch);

// Reads --input NAME=FILE for every input of the entry; shapes are checked against it, all must agree on
// the batch. A stored sample with the same number of elements takes the input's shape.
Result<CallInputs> read_call_inputs(const Entry& entry, const std::vector<std::string>& inputs);

// Converts where the kind is the same or widening (float to float, int to int in range, int to float).
Result<Array> convert(const Array& array, DType dtype, const std::string& what);

// Labels are checked against the entry's index ranges.
Status check_ranges(const Entry& entry, const CallInputs& inputs);

}  // namespace netc
