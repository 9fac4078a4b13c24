// Objects on disk; see the header.
#include "backends/cpu/code_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "backends/llvm.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/SHA256.h>

namespace netc {
namespace {

constexpr char kMagic[] = "netc code 1\n";

std::string hash_of(const std::string& text) {
    llvm::SHA256 hash;
    hash.update(text);
    return llvm::toHex(hash.final(), true);
}

// Objects are of one build: another binary may make other code from the same kernel.
const std::string& build_identity() {
    static const std::string identity = [] {
        struct stat info{};
        if (stat("/proc/self/exe", &info) != 0) return std::string("unknown");
        return fmt::format("{} {} {}.{}", LLVM_VERSION_STRING, info.st_size, info.st_mtim.tv_sec,
                           info.st_mtim.tv_nsec);
    }();
    return identity;
}

}  // namespace

std::string code_key(const std::vector<std::string>& parts) {
    std::string all;
    for (const std::string& part : parts) all += fmt::format("\n{}:{}", part.size(), part);
    return hash_of(all);
}

std::string CodeCache::path_of(const std::string& key) const {
    return directory_ + "/" + hash_of(build_identity() + "\n" + key) + ".o";
}

std::optional<std::string> CodeCache::load(const std::string& key) const {
    if (directory_.empty()) return std::nullopt;
    std::ifstream file(path_of(key), std::ios::binary);
    if (!file) return std::nullopt;
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const std::size_t head = sizeof kMagic - 1 + 64;
    if (bytes.size() < head || bytes.compare(0, sizeof kMagic - 1, kMagic) != 0)
        return std::nullopt;
    std::string object = bytes.substr(head);
    if (bytes.compare(sizeof kMagic - 1, 64, hash_of(object)) != 0) return std::nullopt;
    return object;
}

void CodeCache::save(const std::string& key, const std::string& object) const {
    if (directory_.empty()) return;
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    const std::string name = path_of(key);
    const std::string temporary = fmt::format("{}.{}.new", name, getpid());
    {
        std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
        file << kMagic << hash_of(object) << object;
        if (!file.flush()) {
            std::filesystem::remove(temporary, error);
            return;
        }
    }
    std::filesystem::rename(temporary, name, error);
    if (error) std::filesystem::remove(temporary, error);
}

}  // namespace netc
