// Fields out of whole arrays: inline values, idx, npy and npz files, the batches of CIFAR-10.
#pragma once

#include <functional>
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

Result<std::vector<LoadedField>> read_npz(const DataSource& source,
                                          const std::vector<FieldRequest>& wanted,
                                          const std::string& root);
Result<std::vector<LoadedField>> read_cifar(const DataSource& source,
                                            const std::vector<FieldRequest>& wanted,
                                            const std::string& root);

// All arrays of the fields that are wanted, from one place: as many samples each.
struct NamedArray {
    Array array;
    std::string origin;  // what messages call it
};
// `array_of(i)` gives the array for the i-th request.
Result<std::vector<LoadedField>>
fields_from_arrays(const DataSource& source, const std::vector<FieldRequest>& wanted,
                   const std::function<Result<NamedArray>(std::size_t)>& array_of);

// What the source binds to a name; an Error where it is nothing.
Result<const SourceField*> find_source_field(const DataSource& source, const std::string& name);

// An array as the values of an input: the first dimension counts the samples, and a sample with as
// many elements as the input has takes its shape. The dtype must widen, or be an int whose values
// fit. `origin` names the file. For `predict --input x=a.npy` too.
Result<Field> field_from_array(Array array, const FieldRequest& request, const std::string& origin);

}  // namespace netc
