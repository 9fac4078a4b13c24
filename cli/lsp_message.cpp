#include "cli/lsp_message.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

namespace netc {
namespace {

constexpr std::size_t kMaxHeader = 8 * 1024;
constexpr std::size_t kMaxBody = 64u << 20u;

// The length that a block of header lines states.
std::optional<std::size_t> content_length(std::string_view header) {
    static constexpr std::string_view kName = "content-length:";
    while (!header.empty()) {
        const std::size_t end = std::min(header.find('\n'), header.size());
        std::string_view line = header.substr(0, end);
        header.remove_prefix(std::min(end + 1, header.size()));
        const bool named =
            line.size() > kName.size() &&
            std::equal(kName.begin(), kName.end(), line.begin(), [](char wanted, char found) {
                return wanted == std::tolower(static_cast<unsigned char>(found));
            });
        if (!named) continue;
        line.remove_prefix(kName.size());
        while (line.starts_with(' ')) line.remove_prefix(1);
        while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
        std::size_t length = 0;
        const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), length);
        if (error != std::errc{} || stop != line.data() + line.size() || length > kMaxBody) {
            return std::nullopt;
        }
        return length;
    }
    return std::nullopt;
}

}  // namespace

bool MessageReader::fill() {
    char bytes[64 * 1024];
    while (true) {
        const ssize_t count = ::read(descriptor_, bytes, sizeof bytes);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        buffer_.append(bytes, static_cast<std::size_t>(count));
        return true;
    }
}

MessageReader::State MessageReader::next(std::string& body) {
    std::size_t end = std::string::npos;
    std::size_t blank = 0;
    while (true) {
        const std::size_t crlf = buffer_.find("\r\n\r\n");
        const std::size_t lf = buffer_.find("\n\n");
        end = std::min(crlf, lf);
        blank = end == crlf ? 4 : 2;
        if (end != std::string::npos) break;
        if (buffer_.size() > kMaxHeader) {
            buffer_.clear();
            return State::malformed;
        }
        if (!fill()) return State::end;
    }
    const std::optional<std::size_t> length =
        content_length(std::string_view(buffer_).substr(0, end));
    buffer_.erase(0, end + blank);
    if (!length) return State::malformed;
    while (buffer_.size() < *length) {
        if (!fill()) return State::end;
    }
    body = buffer_.substr(0, *length);
    buffer_.erase(0, *length);
    return State::message;
}

bool MessageReader::more() const {
    if (!buffer_.empty()) return true;
    pollfd wanted{descriptor_, POLLIN, 0};
    return ::poll(&wanted, 1, 0) > 0 && (wanted.revents & POLLIN) != 0;
}

bool write_message(int descriptor, const std::string& body) {
    const std::string text = fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body);
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t count = ::write(descriptor, text.data() + done, text.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        done += static_cast<std::size_t>(count);
    }
    return true;
}

}  // namespace netc
