// Plain structs to bytes and back, for what netc keeps for itself (never for files of users). A struct takes
// part by one function that names its fields and serves both directions:
//
//     template <class Archive> void archive_fields(Archive& archive, Point& p) { archive(p.x, p.y); }
//
// Bytes are this machine's; whoever stores them makes sure that the same build reads them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace netc {

template <class T>
inline constexpr bool kIsScalarField = std::is_arithmetic_v<T> || std::is_enum_v<T>;

class ArchiveWriter {
public:
    std::string bytes;

    template <class... Fields>
    void operator()(const Fields&... fields) {
        (write(fields), ...);
    }

private:
    template <class T>
    void write(const T& value) {
        if constexpr (kIsScalarField<T>) {
            bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
        } else {
            // Shared with the reader, which changes the fields; the writer does not.
            archive_fields(*this, const_cast<T&>(value));
        }
    }
    void write(const std::string& text) {
        write(static_cast<std::uint64_t>(text.size()));
        bytes += text;
    }
    template <class T>
    void write(const std::vector<T>& items) {
        write(static_cast<std::uint64_t>(items.size()));
        for (const T& item : items) write(item);
    }
};

// Reads what a writer wrote. Of bytes that end too early the rest is empty, and ok() is false.
class ArchiveReader {
public:
    explicit ArchiveReader(std::string_view bytes) : rest_(bytes) {}
    bool ok() const { return ok_; }
    bool at_end() const { return rest_.empty(); }

    template <class... Fields>
    void operator()(Fields&... fields) {
        (read(fields), ...);
    }

private:
    bool take(std::uint64_t size) { return ok_ = ok_ && size <= rest_.size(); }

    template <class T>
    void read(T& value) {
        if constexpr (kIsScalarField<T>) {
            if (!take(sizeof value)) return;
            std::memcpy(&value, rest_.data(), sizeof value);
            rest_.remove_prefix(sizeof value);
        } else {
            archive_fields(*this, value);
        }
    }
    void read(std::string& text) {
        std::uint64_t size = 0;
        read(size);
        if (!take(size)) return;
        text = rest_.substr(0, static_cast<std::size_t>(size));
        rest_.remove_prefix(static_cast<std::size_t>(size));
    }
    template <class T>
    void read(std::vector<T>& items) {
        std::uint64_t size = 0;
        read(size);
        if (!take(size)) return;  // an item takes a byte at least
        items.resize(static_cast<std::size_t>(size));
        for (T& item : items) read(item);
    }

    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace netc
