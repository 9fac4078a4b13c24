// The folder that a training run writes to, held by one process at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "ir/result.h"

namespace netc {

// Holds the lock until it is destroyed; the kernel lets go of it when the process dies.
class RunDirectory {
public:
    RunDirectory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
    RunDirectory(RunDirectory&& other) noexcept
        : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}
    RunDirectory& operator=(RunDirectory&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(lock_, other.lock_);
        return *this;
    }
    RunDirectory(const RunDirectory&) = delete;
    RunDirectory& operator=(const RunDirectory&) = delete;
    ~RunDirectory();

    const std::string& path() const { return path_; }
    std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

private:
    std::string path_;
    int lock_ = -1;
};

// The program as it was when the run began; what has it is the directory of a run.
inline constexpr const char* kSourceFile = "source.net";

enum class RunMode { fresh, resume };

// Makes the directory (parents too) and locks it. A fresh run refuses one that holds files, a
// resumed one wants a run in it; both refuse one that another process trains in.
Result<RunDirectory> open_run_directory(const std::string& path, RunMode mode);

// "runs/lenet5-2026-11-21-1405", with "-2" and so on where that exists.
std::string unused_run_name(std::string_view parent, std::string_view name, std::int64_t unix_time);

// `parent`/latest becomes a symbolic link to the run; where links cannot be made nothing happens.
void point_latest_to(const RunDirectory& run);

// A file that grows by whole lines. Each append is one write.
Status append_line(const std::string& path, std::string_view line);

// Drops what follows the last whole line, and then every line that `keep` refuses: a resumed run
// continues its log at the step that its state belongs to.
Status trim_log(const std::string& path, const std::function<bool(std::string_view line)>& keep);

}  // namespace netc
