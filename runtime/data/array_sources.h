// Fields out of whole arrays: inline values, idx and npy files.
#pragma once

#include <string>
#include <vector>

#include "ir/data_spec.h"
#include "ir/result.h"
#include "runtime/data/csv_source.h"
#include "runtime/data/dataset.h"
#include "runtime/files/npy.h"

namespace netc {

// A field per request; the number of samples is that of its array.
Result<std::vector<LoadedField>> read_arrays(const DataSource& source,
                                             const std::vector<FieldRequest>& wanted,
                                             const std::string& root);

// An array as the values of an input: the first dimension counts the samples, and a sample with as
// many elements as the input has takes its shape. The dtype must widen, or be an int whose values
// fit. `origin` names the file. For `predict --input x=a.npy` too.
Result<Field> field_from_array(Array array, const FieldRequest& request, const std::string& origin);

}  // namespace netc
