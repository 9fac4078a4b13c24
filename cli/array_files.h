// The files that `--input NAME=FILE` names: npy, npz, csv, images.
#pragma once

#include <string>

#include "ir/program.h"
#include "ir/result.h"
#include "runtime/files/npy.h"

namespace netc {

// By the ending of its name. A table has a row per sample; an image is one sample, grey or in colours
// as the input's channels ask, raw from 0 to 255; of an archive the array with the input's name is
// taken, or the only one.
Result<Array> read_array_file(const std::string& file, const EntryArgument& input);

}  // namespace netc
