// Writing to the terminal or a pipe; colour only where it is wanted.
#pragma once

#include <string>
#include <string_view>

namespace netc {

// Standard output: results. False once it is closed or full; remembered for out_failed().
void print_out(std::string_view text);
// Standard error: everything else. Failures are ignored: there is nowhere to tell them.
void print_err(std::string_view text);
// Flushes; true when something printed with print_out was lost, other than by a reader that went away.
bool out_failed();

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
