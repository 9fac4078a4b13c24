#include "cli/option_checks.h"

#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

#include "runtime/data/csv_table.h"

namespace netc {
namespace {

enum class Parsed : std::uint8_t { number, no_number, too_large };

// The magnitude and the sign apart: a seed has 64 bits without one.
struct WholeNumber {
    Parsed parsed = Parsed::no_number;
    bool negative = false;
    std::uint64_t magnitude = 0;
};

WholeNumber parse(std::string_view text) {
    WholeNumber number;
    number.negative = text.starts_with('-');
    if (number.negative || text.starts_with('+')) text.remove_prefix(1);
    int base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    const char* end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, number.magnitude, base);
    if (stop != end || code == std::errc::invalid_argument) return number;
    number.parsed = code == std::errc() ? Parsed::number : Parsed::too_large;
    return number;
}

// Empty where the text is a number within the bounds; `greatest` is not negative.
std::string complaint(const std::string& text, std::int64_t least, std::uint64_t greatest) {
    const WholeNumber number = parse(text);
    const std::string shown = excerpt(text);
    if (number.parsed == Parsed::no_number) return shown + " is not a whole number";
    const bool fits = number.parsed == Parsed::number;
    if (number.negative && number.magnitude != 0) {
        // All bounds here are 0 or more.
        return fmt::format("{} is not at least {}", shown, least);
    }
    if (fits && number.magnitude < static_cast<std::uint64_t>(least)) {
        return fmt::format("{} is not at least {}", shown, least);
    }
    if (!fits || number.magnitude > greatest) {
        return fmt::format("{} is more than {}", shown, greatest);
    }
    return {};
}

bool same_word(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) ==
               std::tolower(static_cast<unsigned char>(y));
    });
}

}  // namespace

CLI::Validator whole_number(std::int64_t least, std::int64_t greatest) {
    const bool bounded = greatest != std::numeric_limits<std::int64_t>::max();
    return {[=](std::string& text) {
                return complaint(text, least, static_cast<std::uint64_t>(greatest));
            },
            bounded ? fmt::format("{} to {}", least, greatest) : fmt::format("from {}", least)};
}

CLI::Validator seed_number() {
    return {[](std::string& text) {
                return complaint(text, 0, std::numeric_limits<std::uint64_t>::max());
            },
            ""};
}

CLI::Validator one_of(std::vector<std::pair<std::string, std::int64_t>> words) {
    return {[words = std::move(words)](std::string& text) {
                std::string list;
                for (const auto& [word, number] : words) {
                    if (same_word(word, text)) {
                        text = std::to_string(number);
                        return std::string();
                    }
                    list += (list.empty() ? "" : ", ") + word;
                }
                return fmt::format("{} is none of {}", excerpt(text), list);
            },
            ""};
}

Status check_environment() {
    const char* text = std::getenv("NETC_THREADS");
    if (text == nullptr || *text == 0) return {};
    const std::string wrong = complaint(text, 1, static_cast<std::uint64_t>(kMostThreads));
    if (wrong.empty()) return {};
    return Error{.status = kExitUsage,
                 .message = "NETC_THREADS: " + wrong,
                 .help = "it is the number of threads where `--threads` does not say it"};
}

}  // namespace netc
