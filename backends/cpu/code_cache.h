// The cache of machine code: a directory of objects, each named by a hash of all that it was made from. It
// may be deleted at any time; what is damaged counts as missing.
#pragma once

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

private:
    std::string path_of(const std::string& key) const;

    std::string directory_;  // empty: no cache
};

}  // namespace netc
