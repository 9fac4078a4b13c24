// What options accept, and what a message says of anything else: `--epochs: 0 is not at least 1`.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "ir/result.h"

namespace netc {

// An int between two bounds, both included; in decimal digits, or hexadecimal behind 0x.
CLI::Validator whole_number(std::int64_t least,
                            std::int64_t greatest = std::numeric_limits<std::int64_t>::max());
// 64 bits, as random numbers begin with.
CLI::Validator seed_number();
// Words in any case, each with the number that it stands for.
CLI::Validator one_of(std::vector<std::pair<std::string, std::int64_t>> words);

// What --batch takes.
inline constexpr std::int64_t kMostSamples = 1'000'000'000;
inline constexpr std::int64_t kMostThreads = 1024;

// Variables of the environment that hold a number: NETC_THREADS.
Status check_environment();

}  // namespace netc
