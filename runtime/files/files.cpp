// Atomic file writing over POSIX calls, and reading whole files.
#include "runtime/files/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "runtime/memory.h"

namespace netc {
namespace {

constexpr std::size_t kBufferSize = std::size_t{1} << 20;

Error cannot_read(const std::string& path, int code) {
    return {.status = kExitData,
            .message = fmt::format("cannot read {}: {}", path, describe_errno(code))};
}

Error cannot_write(const std::string& path, int code) {
    std::string help;
    if (code == ENOENT) help = "make the directory first";
    if (code == ENOSPC || code == EDQUOT) help = "free some space, then start again";
    return {.status = kExitData,
            .message = fmt::format("cannot write {}: {}", path, describe_errno(code)),
            .help = help};
}

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// Opens a new file beside `path`. The process id keeps two runs apart, the ordinal a leftover of a
// killed one.
int open_temporary(const std::string& path, std::string& temporary) {
    for (int ordinal = 0; ordinal < 1000; ++ordinal) {
        temporary = fmt::format("{}.{}.{}.tmp", path, ::getpid(), ordinal);
        const int descriptor =
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0 || errno != EEXIST) return descriptor;
    }
    errno = EEXIST;
    return -1;
}

// Where a symbolic link leads, so that the link stays one; else the name itself.
std::string target_of(const std::string& name) {
    std::error_code code;
    if (!std::filesystem::is_symlink(name, code)) return name;
    const auto target = std::filesystem::weakly_canonical(name, code);
    return code ? name : target.string();
}

// The rename itself reaches the disk only with its directory. Some file systems cannot sync one;
// the data are safe then all the same.
void sync_directory(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    ::fsync(descriptor);
    ::close(descriptor);
}

}  // namespace

std::string describe_errno(int code) {
    switch (code) {
        case ENOSPC: return "no space left on the device";
        case EDQUOT: return "the disk quota is used up";
        case EACCES:
        case EPERM: return "permission denied";
        case EROFS: return "the file system is read-only";
        case ENOENT: return "there is no such file or directory";
        case ENOTDIR: return "a part of the path is not a directory";
        case EISDIR: return "it is a directory";
        case ENODEV: return "it is a device, a pipe or a socket, not a file";
        case EFBIG: return "the file would become too large";
        case EMFILE:
        case ENFILE: return "too many open files";
        case EIO: return "the device reported an input/output error";
        case ENAMETOOLONG: return "the name is too long";
        case EEXIST: return "the name is taken";
        default: return fmt::format("the system said \"{}\"", std::strerror(code));
    }
}

std::string join_path(std::string_view root, std::string_view path) {
    if (root.empty() || root == "." || path.starts_with('/')) return std::string(path);
    std::string joined(root);
    if (!joined.ends_with('/')) joined += '/';
    return joined + std::string(path);
}

bool FileSink::write(std::span<const std::byte> bytes) {
    if (failure_ != 0) return false;
    if (buffer_.size() + bytes.size() > kBufferSize && !flush()) return false;
    if (bytes.size() <= kBufferSize) {
        buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
        return true;
    }
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            failure_ = count < 0 ? errno : ENOSPC;
            return false;
        }
        done += static_cast<std::size_t>(count);
    }
    return true;
}

bool FileSink::write(std::string_view text) {
    return write(std::as_bytes(std::span(text.data(), text.size())));
}

bool FileSink::flush() {
    std::size_t done = 0;
    while (failure_ == 0 && done < buffer_.size()) {
        const ssize_t count = ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0)
            failure_ = count < 0 ? errno : ENOSPC;
        else
            done += static_cast<std::size_t>(count);
    }
    buffer_.clear();
    return failure_ == 0;
}

Status write_file_atomically(const std::string& name,
                             const std::function<void(FileSink&)>& writer) {
    // A name that exists and is no plain file (/dev/stdout, a pipe) is written in place.
    struct stat existing{};
    const bool exists = ::stat(name.c_str(), &existing) == 0;
    const bool special = exists && !S_ISREG(existing.st_mode);
    if (special && S_ISDIR(existing.st_mode)) return cannot_write(name, EISDIR);
    const std::string path = target_of(name);
    std::string temporary;
    const int descriptor =
        special ? ::open(path.c_str(), O_WRONLY | O_CLOEXEC) : open_temporary(path, temporary);
    if (descriptor < 0) return cannot_write(path, errno);
    // Who may read it stays as it was.
    if (exists && !special) (void)::fchmod(descriptor, existing.st_mode & 07777);

    FileSink sink(descriptor);
    writer(sink);
    sink.flush();
    int failure = sink.failure();
    if (failure == 0 && !special && ::fsync(descriptor) != 0) failure = errno;
    if (::close(descriptor) != 0 && failure == 0) failure = errno;
    if (special) return failure == 0 ? Status() : cannot_write(path, failure);
    if (failure == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) failure = errno;
    if (failure != 0) {
        ::unlink(temporary.c_str());
        return cannot_write(path, failure);
    }
    sync_directory(directory_of(path));
    return {};
}

Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
    return write_file_atomically(path, [&](FileSink& sink) { sink.write(bytes); });
}

Status write_file_atomically(const std::string& path, std::string_view text) {
    return write_file_atomically(path, [&](FileSink& sink) { sink.write(text); });
}

Status rename_file(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) return cannot_write(to, errno);
    sync_directory(directory_of(to));
    return {};
}

namespace {

// A file that ends: no directory, no device, no pipe. The descriptor, or -1 and the reason.
int open_plain(const std::string& path, struct stat& info, int& failure) {
    // Opening a pipe would wait for its writer; looking first could see another file than is opened.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        failure = errno == ENXIO ? ENODEV : errno;
        return -1;
    }
    failure = ::fstat(descriptor, &info) == 0 ? 0 : errno;
    if (failure == 0 && S_ISDIR(info.st_mode)) failure = EISDIR;
    // /dev/zero never ends, and a pipe when its writer does.
    if (failure == 0 && !S_ISREG(info.st_mode)) failure = ENODEV;
    if (failure == 0) return descriptor;
    ::close(descriptor);
    return -1;
}

}  // namespace

Result<FileContent> read_content(const std::string& path) {
    struct stat info{};
    int failure = 0;
    const int descriptor = open_plain(path, info, failure);
    if (descriptor < 0) return cannot_read(path, failure);
    const auto size = static_cast<std::size_t>(std::max<off_t>(info.st_size, 0));
    const std::shared_ptr<std::byte> memory = allocate_zeroed(size);
    std::size_t done = 0;
    while (memory != nullptr && done < size) {
        const ssize_t count = ::read(descriptor, memory.get() + done, size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) failure = errno;
        if (count <= 0) break;  // it has become shorter: what there is
        done += static_cast<std::size_t>(count);
    }
    ::close(descriptor);
    if (memory == nullptr) failure = ENOMEM;
    if (failure != 0) return cannot_read(path, failure);
    return FileContent{memory, std::span<const std::byte>(memory.get(), done)};
}

Result<std::string> read_file(const std::string& path, std::uint64_t limit) {
    struct stat info{};
    int failure = 0;
    const int descriptor = open_plain(path, info, failure);
    if (descriptor < 0) return cannot_read(path, failure);
    std::string text;
    const auto expected = static_cast<std::uint64_t>(std::max<off_t>(info.st_size, 0));
    bool too_large = expected > limit;
    // One byte more than the file says, so that the end is seen without another allocation.
    std::size_t size = 0;
    if (!too_large) text.resize(static_cast<std::size_t>(expected) + 1);
    while (!too_large) {
        const ssize_t count = ::read(descriptor, text.data() + size, text.size() - size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) failure = errno;
        if (count <= 0) break;
        size += static_cast<std::size_t>(count);
        too_large = size > limit;
        if (size == text.size()) text.resize(text.size() + text.size() / 2 + 4096);
    }
    ::close(descriptor);
    if (failure != 0) return cannot_read(path, failure);
    if (too_large) {
        return Error{.status = kExitData,
                     .message = fmt::format("{} is larger than the {} bytes that are read here",
                                            path, limit)};
    }
    text.resize(size);
    return text;
}

std::string sampled_content(const std::string& path, std::uint64_t size) {
    constexpr std::uint64_t kPieces = 8, kPiece = 512;
    struct stat info{};
    int failure = 0;
    const int descriptor = open_plain(path, info, failure);
    if (descriptor < 0) return {};
    const bool whole = size <= kPieces * kPiece;
    const std::uint64_t length = whole ? size : kPiece, count = whole ? 1 : kPieces;
    std::string text;
    for (std::uint64_t i = 0; i < count; ++i) {
        std::string piece(length, '\0');
        const std::uint64_t from = whole ? 0 : (size - kPiece) / (kPieces - 1) * i;
        const bool last = !whole && i + 1 == count;
        const ssize_t got = ::pread(descriptor, piece.data(), length,
                                    static_cast<off_t>(last ? size - kPiece : from));
        piece.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        text += piece;
    }
    ::close(descriptor);
    return text;
}

}  // namespace netc
