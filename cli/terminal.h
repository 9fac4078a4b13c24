// Writing to the terminal or a pipe; colour only where it is wanted.
#pragma once

#include <string>
#include <string_view>

namespace netc {

// Standard output: results. A failure is remembered for out_failure().
void print_out(std::string_view text);
// Standard error: everything else. Failures are ignored: there is nowhere to tell them.
void print_err(std::string_view text);
// Flushes; why something printed with print_out was lost, other than by a reader that went away. Empty: nothing was.
std::string out_failure();

// A standard stream that the caller closed must not become the number of the next file that is opened. First of all.
void keep_standard_descriptors();

bool is_terminal(int descriptor);
// Colour: a terminal, and NO_COLOR is not set.
bool color_on(int descriptor);

// One line that is written over again: progress. Nothing where standard error is no terminal.
class ProgressLine {
public:
    ProgressLine();
    bool active() const { return active_; }
    void show(const std::string& text);
    void clear();

private:
    bool active_;
    bool shown_ = false;
};

}  // namespace netc
