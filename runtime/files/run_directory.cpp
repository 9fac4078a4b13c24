// The directory of a training run: its lock, its name, its log.
#include "runtime/files/run_directory.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <vector>

#include "runtime/files/files.h"

namespace netc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockName = ".lock";

// What a killed process left of a file it was writing, see open_temporary in files.cpp. Only under the
// lock: then nobody is writing.
void remove_leftovers(const std::string& path) {
    std::error_code code;
    std::vector<fs::path> leftovers;
    for (fs::directory_iterator entry(path, code), end; !code && entry != end;
         entry.increment(code)) {
        if (entry->path().extension() == ".tmp") leftovers.push_back(entry->path());
    }
    for (const fs::path& leftover : leftovers) fs::remove(leftover, code);
}

bool holds_files(const std::string& path) {
    std::error_code code;
    for (fs::directory_iterator entry(path, code), end; !code && entry != end;
         entry.increment(code)) {
        const fs::path& name = entry->path();
        if (name.filename() != kLockName && name.extension() != ".tmp") return true;
    }
    return false;
}

bool holds_run(const std::string& path) {
    std::error_code code;
    return fs::exists(join_path(path, kSourceFile), code);
}

Error cannot_open(const std::string& path, int code) {
    return {.status = kExitData,
            .message =
                fmt::format("cannot use {} as run directory: {}", path, describe_errno(code)),
            .help = "`--run DIR` names another one"};
}

}  // namespace

RunDirectory::~RunDirectory() {
    if (lock_ >= 0) ::close(lock_);
}

Result<RunDirectory> open_run_directory(const std::string& path, RunMode mode) {
    std::error_code code;
    if (mode == RunMode::resume) {
        if (!fs::is_directory(path, code)) {
            return Error{.status = kExitData,
                         .message = fmt::format("there is no run directory {} to resume", path)};
        }
        if (!holds_run(path)) {
            return Error{.status = kExitData,
                         .message = path + ": this is not the directory of a run"};
        }
    } else {
        fs::create_directories(path, code);
        if (code) return cannot_open(path, code.value());
        if (!holds_run(path) && holds_files(path)) {
            return Error{.status = kExitData,
                         .message = fmt::format("the directory {} holds files of something else, "
                                                "not of a run",
                                                path),
                         .help = "name another directory with `--run DIR`"};
        }
    }
    const std::string lock_path = join_path(path, kLockName);
    const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0) return cannot_open(path, errno);
    RunDirectory run(path, lock);
    if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return cannot_open(path, errno);
        return Error{.status = kExitData,
                     .message = fmt::format("another netc is training in {}", path),
                     .help = "wait for it, or name another directory with `--run DIR`"};
    }
    // Only under the lock: of two fresh runs that start at once, the second finds the lock taken.
    if (mode == RunMode::fresh && holds_files(path)) {
        return Error{.status = kExitData,
                     .message = fmt::format("the run directory {} already holds a run", path),
                     .help =
                         fmt::format("continue it with `--resume {}`, or name another directory "
                                     "with `--run DIR`",
                                     path)};
    }
    remove_leftovers(path);
    return run;
}

std::string unused_run_name(std::string_view parent, std::string_view name,
                            std::int64_t unix_time) {
    const std::time_t time = static_cast<std::time_t>(unix_time);
    std::tm local{};
    ::localtime_r(&time, &local);
    const std::string base = join_path(parent, fmt::format("{}-{:%Y-%m-%d-%H%M%S}", name, local));
    std::string path = base;
    std::error_code code;
    for (int ordinal = 2; fs::exists(path, code); ++ordinal)
        path = fmt::format("{}-{}", base, ordinal);
    return path;
}

void point_latest_to(const RunDirectory& run) {
    const fs::path path(run.path());
    const fs::path latest = path.parent_path() / "latest";
    std::error_code code;
    if (fs::exists(fs::symlink_status(latest, code)) && !fs::is_symlink(latest, code)) return;
    // A link to something else is somebody else's.
    if (fs::exists(latest, code) && !holds_run(latest.string())) return;
    // Made beside and renamed, so that there is a `latest` at every moment.
    const fs::path temporary = path.parent_path() / fmt::format(".latest.{}", ::getpid());
    fs::remove(temporary, code);
    fs::create_directory_symlink(path.filename(), temporary, code);
    if (code) return;
    fs::rename(temporary, latest, code);
    if (code) fs::remove(temporary, code);
}

Status append_line(const std::string& path, std::string_view line) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) {
        return Error{.message = fmt::format("cannot write {}: {}", path, describe_errno(errno))};
    }
    const std::string text = std::string(line) + "\n";
    std::size_t done = 0;
    int failure = 0;
    while (failure == 0 && done < text.size()) {
        const ssize_t count = ::write(file, text.data() + done, text.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0)
            failure = count < 0 ? errno : ENOSPC;
        else
            done += static_cast<std::size_t>(count);
    }
    ::close(file);
    if (failure == 0) return {};
    return Error{.message = fmt::format("cannot write {}: {}", path, describe_errno(failure))};
}

Status trim_log(const std::string& path, const std::function<bool(std::string_view)>& keep) {
    std::error_code code;
    if (!fs::exists(path, code)) return {};
    const Result<std::string> text = read_file(path);
    if (!text) return text.error();
    std::string kept;
    std::size_t begin = 0;
    for (std::size_t end; (end = text->find('\n', begin)) != std::string::npos; begin = end + 1) {
        const std::string_view line = std::string_view(*text).substr(begin, end - begin);
        if (keep(line)) kept += fmt::format("{}\n", line);
    }
    if (kept == *text) return {};
    return write_file_atomically(path, std::string_view(kept));
}

}  // namespace netc
