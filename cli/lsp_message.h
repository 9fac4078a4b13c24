// The language server's wire: JSON-RPC messages with a Content-Length before each.
#pragma once

#include <optional>
#include <string>

namespace netc {

class MessageReader {
public:
    explicit MessageReader(int descriptor) : descriptor_(descriptor) {}

    enum class State { message, malformed, end };
    // Waits for the next message; its text goes to `body`. `malformed`: a header that is none, it was
    // skipped. Nothing longer than 64 MiB is taken.
    State next(std::string& body);
    // Whether more input is there already.
    bool more() const;

private:
    bool fill();

    int descriptor_;
    std::string buffer_;
};

// False when nobody reads any more.
bool write_message(int descriptor, const std::string& body);

}  // namespace netc
