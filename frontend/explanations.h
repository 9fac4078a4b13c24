// The programs that show what a diagnostic is about: explanations.txt, embedded in netc.
#pragma once

#include <optional>
#include <string_view>

namespace netc {

struct ExplainedPrograms {
    std::string_view wrong;  // answered with this code alone
    std::string_view right;  // the same, without a word from netc
};

// Of a code ("E0302"); nothing where no short program shows it.
std::optional<ExplainedPrograms> explained_programs(std::string_view code);

}  // namespace netc
