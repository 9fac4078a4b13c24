// NumPy's npz: a zip archive of npy files.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/result.h"
#include "runtime/files/npy.h"
#include "runtime/files/safetensors.h"

struct zip;

namespace netc {

// An archive in memory; arrays are unpacked when asked for.
class NpzFile {
public:
    static Result<NpzFile> open(std::string bytes, std::string path);

    const std::vector<std::string>& names() const { return names_; }
    Result<Array> read(std::string_view name) const;

private:
    struct Close {
        void operator()(zip* archive) const;
    };
    std::string path_;
    std::unique_ptr<std::string> bytes_;  // the archive points into it
    std::unique_ptr<zip, Close> archive_;
    std::vector<std::string> names_;  // without ".npy"
};

// The array called `name`, or the only one there is; the error lists the names.
Result<Array> read_npz_array(const NpzFile& file, std::string_view name, const std::string& path);

// The same arrays give the same bytes.
Status write_npz(const std::string& path, std::span<const TensorView> arrays);

}  // namespace netc
