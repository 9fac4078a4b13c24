// Words that no message has: they come from inside of netc or of a library below it.
#pragma once

#include <catch2/catch.hpp>

#include <string>

namespace netc {

inline void expect_no_inside_words(const std::string& text) {
    for (const char* word :
         {"terminate called", "what():", "std::", "LLVM", "llvm::", "antlr", "ANTLR", "xception",
          "basic_string", "Assertion ", "internal error", "a bug in netc", "mismatched input",
          "extraneous input", "no viable alternative", "token recognition"}) {
        INFO(word);
        CHECK(text.find(word) == std::string::npos);
    }
}

}  // namespace netc
