// Reading and writing through libzip, in memory.
#include "runtime/files/npz.h"

#include <zip.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/files/files.h"

namespace netc {
namespace {

Error malformed(const std::string& path, std::string_view reason) {
    return {.status = kExitData,
            .message = fmt::format("{} is not a whole npz file: {}", path, reason)};
}

std::string text_of(zip_error_t& error) {
    std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    return text;
}

// No stream of deflate is longer than this many times its packed size.
constexpr zip_uint64_t kLargestRatio = 1032;

struct CloseEntry {
    void operator()(zip_file_t* file) const { ::zip_fclose(file); }
};

}  // namespace

void NpzFile::Close::operator()(zip* archive) const { ::zip_discard(archive); }

Result<NpzFile> NpzFile::open(std::string bytes, std::string path) {
    NpzFile file;
    file.path_ = std::move(path);
    if (bytes.empty()) return malformed(file.path_, "it is empty");
    file.bytes_ = std::make_unique<std::string>(std::move(bytes));
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source =
        ::zip_source_buffer_create(file.bytes_->data(), file.bytes_->size(), 0, &error);
    if (source == nullptr) return malformed(file.path_, text_of(error));
    file.archive_.reset(::zip_open_from_source(source, ZIP_RDONLY, &error));
    if (file.archive_ == nullptr) {
        ::zip_source_free(source);
        return malformed(file.path_, text_of(error));
    }
    zip_error_fini(&error);
    const zip_int64_t count = ::zip_get_num_entries(file.archive_.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
        const char* name = ::zip_get_name(file.archive_.get(), static_cast<zip_uint64_t>(i), 0);
        std::string text = name == nullptr ? "" : name;
        if (text.ends_with(".npy")) text.resize(text.size() - 4);
        file.names_.push_back(std::move(text));
    }
    return file;
}

Result<Array> NpzFile::read(std::string_view name) const {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) {
        return Error{.message = fmt::format("{} has no array `{}`", path_, name),
                     .help = fmt::format("it has: {}", fmt::join(names_, ", "))};
    }
    const auto index = static_cast<zip_uint64_t>(found - names_.begin());
    const std::string entry = fmt::format("{} ({})", path_, name);
    zip_stat_t info;
    zip_stat_init(&info);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if (::zip_stat_index(archive_.get(), index, 0, &info) != 0 ||
        (info.valid & kNeeded) != kNeeded) {
        return malformed(path_, fmt::format("the size of `{}` is not known", name));
    }
    if (info.size / kLargestRatio > info.comp_size + 64) {
        return malformed(path_, fmt::format("`{}` cannot be as large as it says", name));
    }
    const std::unique_ptr<zip_file_t, CloseEntry> opened(
        ::zip_fopen_index(archive_.get(), index, 0));
    if (opened == nullptr) return malformed(path_, ::zip_strerror(archive_.get()));
    std::string bytes(static_cast<std::size_t>(info.size), '\0');
    zip_uint64_t position = 0;
    while (position < info.size) {
        const zip_int64_t got =
            ::zip_fread(opened.get(), bytes.data() + position, info.size - position);
        if (got <= 0) {
            const char* reason = got == 0 ? "it ends early" : ::zip_file_strerror(opened.get());
            return malformed(path_, fmt::format("`{}`: {}", name, reason));
        }
        position += static_cast<zip_uint64_t>(got);
    }
    // The check sum is compared when the end is read.
    char beyond = 0;
    if (::zip_fread(opened.get(), &beyond, 1) < 0) {
        return malformed(path_, fmt::format("`{}`: {}", name, ::zip_file_strerror(opened.get())));
    }
    return parse_npy(std::as_bytes(std::span(bytes.data(), bytes.size())), entry);
}

Result<Array> read_npz_array(const NpzFile& file, std::string_view name, const std::string& path) {
    const auto& names = file.names();
    const bool has = std::find(names.begin(), names.end(), name) != names.end();
    if (!has && names.size() == 1) return file.read(names.front());
    if (!has && names.empty()) return malformed(path, "it holds no array");
    return file.read(name);
}

Status write_npz(const std::string& path, std::span<const TensorView> arrays) {
    zip_error_t error;
    zip_error_init(&error);
    const auto failed = [&](std::string_view reason) {
        return Error{.status = kExitData,
                     .message = fmt::format("{} cannot be written: {}", path, reason)};
    };
    zip_source_t* target = ::zip_source_buffer_create(nullptr, 0, 0, &error);
    if (target == nullptr) return failed(text_of(error));
    ::zip_source_keep(target);  // zip_close gives it back full
    zip_t* archive = ::zip_open_from_source(target, ZIP_TRUNCATE, &error);
    if (archive == nullptr) {
        ::zip_source_free(target);
        ::zip_source_free(target);
        return failed(text_of(error));
    }
    std::vector<std::string> files;  // libzip reads them when it closes
    files.reserve(arrays.size());
    std::string reason;
    for (const TensorView& array : arrays) {
        Result<std::string> header = npy_header(path, array.dtype, array.shape);
        if (!header) {
            reason = header.error().message;
            break;
        }
        files.push_back(std::move(*header));
        files.back().append(reinterpret_cast<const char*>(array.bytes.data()), array.bytes.size());
        zip_source_t* content =
            ::zip_source_buffer(archive, files.back().data(), files.back().size(), 0);
        const zip_int64_t index =
            content == nullptr
                ? -1
                : ::zip_file_add(archive, (array.name + ".npy").c_str(), content, ZIP_FL_ENC_UTF_8);
        if (index < 0) {
            if (content != nullptr) ::zip_source_free(content);
            reason = ::zip_strerror(archive);
            break;
        }
        const auto at = static_cast<zip_uint64_t>(index);
        // Stored as NumPy stores them, without the time of day.
        ::zip_set_file_compression(archive, at, ZIP_CM_STORE, 0);
        ::zip_file_set_dostime(archive, at, 0, (1 << 5) | 1, 0);  // 1 January 1980
    }
    if (reason.empty() && ::zip_close(archive) != 0) reason = ::zip_strerror(archive);
    if (!reason.empty()) {
        ::zip_discard(archive);
        ::zip_source_free(target);
        return failed(reason);
    }
    std::string bytes;
    zip_stat_t info;
    zip_stat_init(&info);
    if (::zip_source_stat(target, &info) == 0 && (info.valid & ZIP_STAT_SIZE) != 0 &&
        ::zip_source_open(target) == 0) {
        bytes.resize(static_cast<std::size_t>(info.size));
        const zip_int64_t got = ::zip_source_read(target, bytes.data(), bytes.size());
        if (got != static_cast<zip_int64_t>(bytes.size())) reason = "no memory";
        ::zip_source_close(target);
    } else {
        reason = "no memory";
    }
    ::zip_source_free(target);
    if (!reason.empty()) return failed(reason);
    return write_file_atomically(path, bytes);
}

}  // namespace netc
