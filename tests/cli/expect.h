// What every refusal owes the user: one message, the right status, no words from inside.
#pragma once

#include <catch2/catch.hpp>

#include <initializer_list>
#include <string>
#include <vector>

#include "tests/cli/inside_words.h"
#include "tests/cli/run_command.h"

namespace netc {

inline std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

// Messages begin a line: `error: ...` or `error[E0101]: ...`.
inline std::size_t count_errors(const std::string& text) {
    const std::string lines = "\n" + text;
    return count_of(lines, "\nerror:") + count_of(lines, "\nerror[");
}

// One clear message that names the file and the place, the exit status of docs/cli.md, no signal.
inline void expect_refusal(const Outcome& outcome, int status,
                           std::initializer_list<const char*> parts) {
    INFO("stdout: " << outcome.out.substr(0, 2000));
    INFO("stderr: " << outcome.err.substr(0, 2000));
    CHECK(outcome.signal == 0);
    CHECK(outcome.status == status);
    CHECK(count_errors(outcome.err) == 1);
    CHECK(outcome.err.size() < 8000);
    for (const char* part : parts) {
        INFO("wanted: " << part);
        CHECK(outcome.err.find(part) != std::string::npos);
    }
    expect_no_inside_words(outcome.out + outcome.err);
}

// For tests whose run is not what they are about.
inline void expect_success(const Outcome& outcome) {
    INFO("stdout: " << outcome.out.substr(0, 2000));
    INFO("stderr: " << outcome.err.substr(0, 4000));
    REQUIRE(outcome.signal == 0);
    REQUIRE(outcome.status == 0);
}

}  // namespace netc
