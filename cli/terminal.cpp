#include "cli/terminal.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace netc {
namespace {

// The process' standard output is one; so is whether it failed.
bool& lost() {
    static bool value = false;
    return value;
}

}  // namespace

void print_out(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() && errno != EPIPE) lost() = true;
}

void print_err(std::string_view text) {
    std::fflush(stdout);
    (void)std::fwrite(text.data(), 1, text.size(), stderr);
}

bool out_failed() {
    if (std::fflush(stdout) != 0 && errno != EPIPE) lost() = true;
    return lost();
}

bool is_terminal(int descriptor) { return isatty(descriptor) == 1; }

bool color_on(int descriptor) {
    const char* off = std::getenv("NO_COLOR");
    return is_terminal(descriptor) && (off == nullptr || *off == '\0');
}

ProgressLine::ProgressLine() : active_(is_terminal(STDERR_FILENO)) {}

void ProgressLine::show(const std::string& text) {
    if (!active_) return;
    print_err("\r\033[K" + text);
    std::fflush(stderr);
    shown_ = true;
}

void ProgressLine::clear() {
    if (!shown_) return;
    print_err("\r\033[K");
    shown_ = false;
}

}  // namespace netc
