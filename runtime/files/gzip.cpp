// Unpacking gzip with zlib: several members one after the other are one file, as gzip itself has
// it.
#include "runtime/files/gzip.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "runtime/files/files.h"

namespace netc {
namespace {

bool is_file(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

Error damaged(const std::string& path, std::string reason) {
    return {.status = kExitData,
            .message = fmt::format("{} is a damaged gzip file: {}", path, reason),
            .help = "fetch or make the file again"};
}

bool starts_like_gzip(std::string_view bytes) {
    return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
}

// The size that the last four bytes promise, where the packed size makes it plausible (deflate
// packs at most 1032 to 1). Only a hint of how much memory to take at once.
std::size_t promised_size(std::string_view bytes) {
    std::uint32_t size = 0;
    if (bytes.size() >= 18) std::memcpy(&size, bytes.data() + bytes.size() - 4, 4);
    return std::min<std::size_t>(size, bytes.size() * 1032) + 1;
}

// One member from `position` on, appended to `output`.
enum class Outcome { whole, truncated, corrupted, too_large };
Outcome inflate_member(z_stream& stream, std::string_view bytes, std::size_t& position,
                       std::string& output, std::size_t& size, std::uint64_t limit) {
    constexpr std::size_t kStep = std::size_t{1} << 30;
    for (;;) {
        if (size == output.size()) output.resize(size + size / 2 + (std::size_t{1} << 16));
        const std::size_t input = std::min(bytes.size() - position, kStep);
        const std::size_t space = std::min(output.size() - size, kStep);
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + position));
        stream.avail_in = static_cast<uInt>(input);
        stream.next_out = reinterpret_cast<Bytef*>(output.data() + size);
        stream.avail_out = static_cast<uInt>(space);
        const int code = ::inflate(&stream, Z_NO_FLUSH);
        position += input - stream.avail_in;
        size += space - stream.avail_out;
        if (size > limit) return Outcome::too_large;
        if (code == Z_STREAM_END) return Outcome::whole;
        if (code != Z_OK && code != Z_BUF_ERROR) return Outcome::corrupted;
        if (position == bytes.size() && stream.avail_out > 0) return Outcome::truncated;
    }
}

}  // namespace

Result<std::string> unpack_gzip(std::string bytes, const std::string& path, std::uint64_t limit) {
    if (!starts_like_gzip(bytes)) return bytes;
    z_stream stream{};
    // 16 asks for the gzip wrapper, whose check sum zlib then verifies.
    if (::inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) {
        return Error{.status = kExitRun, .message = "no memory to unpack " + path};
    }
    std::string output(promised_size(bytes), '\0');
    std::size_t position = 0;
    std::size_t size = 0;
    Outcome outcome = Outcome::whole;
    while (outcome == Outcome::whole && position < bytes.size()) {
        const std::string_view rest = std::string_view(bytes).substr(position);
        if (position > 0 && !starts_like_gzip(rest)) {
            // Tapes and block devices pad with zeros; anything else is not what was packed.
            if (rest.find_first_not_of('\0') != std::string_view::npos)
                outcome = Outcome::corrupted;
            break;
        }
        ::inflateReset(&stream);
        outcome = inflate_member(stream, bytes, position, output, size, limit);
    }
    const std::string reason = stream.msg != nullptr ? stream.msg : "its bytes do not fit together";
    ::inflateEnd(&stream);
    switch (outcome) {
        case Outcome::whole: break;
        case Outcome::truncated:
            return damaged(path, fmt::format("it ends after {} bytes, in the middle of the data",
                                             bytes.size()));
        case Outcome::corrupted:
            return damaged(path, fmt::format("at byte {}: {}", position, reason));
        case Outcome::too_large:
            return Error{.status = kExitData,
                         .message = fmt::format("{} unpacks to more than {} bytes", path, limit)};
    }
    output.resize(size);
    return output;
}

Result<DataFile> read_data_file(std::string_view root, std::string_view name) {
    const std::string path = join_path(root, name);
    std::string found = path;
    if (!is_file(path) && is_file(path + ".gz")) found += ".gz";
    struct stat info{};
    if (::stat(found.c_str(), &info) != 0 && errno == ENOENT) {
        return Error{.status = kExitData,
                     .message = fmt::format("there is no file {} (nor {}.gz)", path, path),
                     .help = "paths are relative to the .net file; `--data DIR` names another "
                             "folder to look in"};
    }
    Result<std::string> bytes = read_file(found);
    if (!bytes) return std::move(bytes).error();
    Result<std::string> unpacked = unpack_gzip(std::move(*bytes), found);
    if (!unpacked) return std::move(unpacked).error();
    return DataFile{found, std::move(*unpacked)};
}

}  // namespace netc
