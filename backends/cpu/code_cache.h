// The cache of machine code: a directory of objects, each named by a hash of all that it was made from. It
// may be deleted at any time; what is damaged counts as missing. Several processes may use it at once: objects
// appear whole, and one process at a time removes what is too much, the longest unused first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace netc {

// Hexadecimal digits of a hash over the parts: what the code is made from. The cache adds this build of netc
// and its LLVM, so that symbols (which carry the key) do not change from build to build.
std::string code_key(const std::vector<std::string>& parts);

class CodeCache {
public:
    explicit CodeCache(std::string directory) : directory_(std::move(directory)) {}
    std::optional<std::string> load(const std::string& key) const;
    // Written under another name and renamed; failing to write is no error.
    void save(const std::string& key, const std::string& object) const;
    // Removes objects until three quarters of `limit` bytes are left, where there are more than that. Does
    // nothing while another process does it.
    void trim(std::int64_t limit = kLimit) const;

    static constexpr std::int64_t kLimit = std::int64_t{1} << 30;

    struct Object {
        std::string path;
        std::int64_t bytes = 0;
        std::filesystem::file_time_type used;
    };
    // What netc wrote there, the longest unused first.
    std::vector<Object> objects() const;

private:
    std::string path_of(const std::string& key) const;

    std::string directory_;  // empty: no cache
};

}  // namespace netc
