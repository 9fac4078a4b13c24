// Reading and writing whole files, so that a reader never sees half of one and an error names the
// file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/result.h"

namespace netc {

// Bytes handed out piece by piece to a file being written.
class FileSink {
public:
    explicit FileSink(int descriptor) : descriptor_(descriptor) {}
    // False once something failed; the reason is kept and reported by write_file_atomically.
    bool write(std::span<const std::byte> bytes);
    bool write(std::string_view text);
    bool flush();
    int failure() const { return failure_; }  // errno

private:
    int descriptor_;
    int failure_ = 0;
    std::vector<std::byte> buffer_;
};

// Writes under a temporary name in the same directory, syncs, renames, syncs the directory: after a
// crash at any moment the name holds the old bytes or the new ones, whole. On failure the temporary
// is gone and the old file untouched.
Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes);
Status write_file_atomically(const std::string& path, std::string_view text);
Status write_file_atomically(const std::string& path, const std::function<void(FileSink&)>& writer);

// Takes the place of `to`; both in one file system.
Status rename_file(const std::string& from, const std::string& to);

// Eight pieces of 512 bytes from all over the file, the first and the last bytes among them; all of a small file, nothing
// of one that cannot be read. To notice that it was changed.
std::string sampled_content(const std::string& path, std::uint64_t size);

// The whole file, at most `limit` bytes (a larger one is refused before it is read).
Result<std::string> read_file(const std::string& path,
                              std::uint64_t limit = std::uint64_t{1} << 40);

// The same, where it may be large: read once, into memory that nobody copies.
struct FileContent {
    std::shared_ptr<const std::byte> memory;
    std::span<const std::byte> bytes;
};
Result<FileContent> read_content(const std::string& path);

// An errno as a user reads it: "no space left on the device".
std::string describe_errno(int code);

// Joins a root and a path; an absolute path stays.
std::string join_path(std::string_view root, std::string_view path);

}  // namespace netc
