// Objects on disk; see the header.
#include "backends/cpu/code_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "backends/llvm.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/SHA256.h>

namespace netc {
namespace {

constexpr std::size_t kDigits = 64;  // of a hash
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

// The longest unused first. Also what a process left that died while it wrote.
std::vector<CodeCache::Object> CodeCache::objects() const {
    namespace fs = std::filesystem;
    std::vector<Object> all;
    std::error_code error;
    for (auto at = fs::directory_iterator(directory_, error);
         !error && at != fs::directory_iterator(); at.increment(error)) {
        const fs::path& path = at->path();
        // Only what netc wrote there: a mistyped --cache must not cost anybody's files.
        const std::string name = path.filename().string();
        if (name.find_first_not_of("0123456789abcdef") != kDigits) continue;
        std::error_code gone;
        const auto bytes = static_cast<std::int64_t>(at->file_size(gone));
        const auto used = at->last_write_time(gone);
        if (!gone) all.push_back({path.string(), bytes, used});
    }
    std::ranges::sort(all, {}, &Object::used);
    return all;
}

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
    // A stream reads what an iterator would throw about: a folder, a disk that fails.
    std::ostringstream content;
    if (!file || !(content << file.rdbuf())) return std::nullopt;
    const std::string bytes = std::move(content).str();
    const std::size_t head = sizeof kMagic - 1 + 64;
    if (bytes.size() < head || bytes.compare(0, sizeof kMagic - 1, kMagic) != 0)
        return std::nullopt;
    std::string object = bytes.substr(head);
    if (bytes.compare(sizeof kMagic - 1, 64, hash_of(object)) != 0) return std::nullopt;
    // The time of the file says when it was last used.
    utimensat(AT_FDCWD, path_of(key).c_str(), nullptr, 0);
    return object;
}

void CodeCache::save(const std::string& key, const std::string& object) const {
    if (directory_.empty()) return;
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    const std::string name = path_of(key);
    static std::atomic<int> count{0};
    const std::string temporary = fmt::format("{}.{}.{}.new", name, getpid(), ++count);
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

void CodeCache::trim(std::int64_t limit) const {
    namespace fs = std::filesystem;
    const std::vector<Object> all = objects();
    std::int64_t bytes = 0;
    for (const Object& object : all) bytes += object.bytes;
    if (bytes <= limit) return;
    const int lock = open((directory_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0) return;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        std::error_code ignored;
        for (const Object& object : all) {
            if (bytes <= limit / 4 * 3) break;
            if (fs::remove(object.path, ignored)) bytes -= object.bytes;
        }
    }
    close(lock);  // and with it the lock goes
}

}  // namespace netc
