#include "cli/terminal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "runtime/files/files.h"

namespace netc {
namespace {

// The process' standard output is one; so is the errno of its first failure. A reader that went away
// (EPIPE) wanted no more.
int& lost() {
    static int value = 0;
    return value;
}
void note_failure() {
    if (lost() == 0 && errno != EPIPE) lost() = errno;
}

}  // namespace

void print_out(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) note_failure();
}

void print_err(std::string_view text) {
    std::fflush(stdout);
    (void)std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string out_failure() {
    if (std::fflush(stdout) != 0) note_failure();
    if (lost() == 0) return {};
    return lost() == EBADF ? "it is closed" : describe_errno(lost());
}

void keep_standard_descriptors() {
    // Opened for reading only, so that writing to what was closed fails instead of vanishing.
    for (int descriptor = 0; descriptor <= 2; ++descriptor) {
        if (::fcntl(descriptor, F_GETFD) < 0) (void)::open("/dev/null", O_RDONLY);
    }
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
