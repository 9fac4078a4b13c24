// Slips of the pen in programs that are right: a token deleted, doubled, swapped with its neighbour or
// misspelt, a number changed. The same seed gives the same mutants everywhere.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netc {

struct Mutant {
    std::string file;    // what it was made from
    std::string change;  // "line 4: misspelt `linear`"
    std::string text;
};

class Mutator {
public:
    explicit Mutator(std::uint64_t seed) : state_(seed) {}

    // Uniform enough for a test, and the same with every standard library.
    std::size_t below(std::size_t limit) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::size_t>(state_ >> 33u) % limit;
    }

    Mutant mutate(const std::string& file, const std::string& text) {
        const std::vector<Token> tokens = tokens_of(text);
        for (;;) {
            const std::size_t at = below(tokens.size());
            const Token token = tokens[at];
            const std::string word = text.substr(token.begin, token.size);
            const auto made = [&](const char* what, std::size_t size, const std::string& instead) {
                const std::string before = text.substr(0, token.begin);
                const auto line = 1 + std::count(before.begin(), before.end(), '\n');
                return Mutant{file,
                              "line " + std::to_string(line) + ": " + what + " `" + word + "`" +
                                  (instead.empty() ? "" : ", now `" + instead + "`"),
                              std::string(text).replace(token.begin, size, instead)};
            };
            const bool number = std::isdigit(static_cast<unsigned char>(word[0])) != 0;
            const bool name = std::isalpha(static_cast<unsigned char>(word[0])) != 0;
            switch (below(5)) {
                case 0: return made("deleted", token.size, "");
                case 1: return made("doubled", token.size, word + " " + word);
                case 2:
                    if (at + 1 < tokens.size()) {
                        const Token next = tokens[at + 1];
                        const auto gap = token.begin + token.size;
                        const auto end = next.begin + next.size;
                        const auto between = text.substr(gap, next.begin - gap);
                        return made("swapped", end - token.begin,
                                    text.substr(next.begin, next.size) + between + word);
                    }
                    break;
                case 3:
                    if (name) return made("misspelt", token.size, misspell(word));
                    break;
                case 4:
                    if (number) return made("changed", token.size, other_number(word));
                    break;
            }
        }
    }

private:
    struct Token {
        std::size_t begin;
        std::size_t size;
    };

    static std::vector<Token> tokens_of(const std::string& text) {
        std::vector<Token> tokens;
        const auto at = [&](std::size_t i) { return i < text.size() ? text[i] : '\0'; };
        const auto word = [&](std::size_t i) {
            return std::isalnum(static_cast<unsigned char>(at(i))) != 0 || at(i) == '_';
        };
        for (std::size_t i = 0; i < text.size();) {
            std::size_t end = i + 1;
            if (text[i] == '#') {
                i = std::min(text.find('\n', i), text.size());
                continue;
            }
            if (std::isspace(static_cast<unsigned char>(text[i])) != 0) {
                ++i;
                continue;
            }
            if (std::isdigit(static_cast<unsigned char>(text[i])) != 0) {
                while (word(end) || (at(end) == '.' && at(end + 1) != '.') ||
                       ((at(end) == '-' || at(end) == '+') && at(end - 1) == 'e')) {
                    ++end;
                }
            } else if (word(i)) {
                while (word(end)) ++end;
            } else if (text[i] == '"') {
                while (end < text.size() && text[end] != '"') ++end;
                end = std::min(end + 1, text.size());
            } else {
                for (const std::string_view sign :
                     {"...", "->", "|>", ">>", "==", "!=", "<=", ">=", "//", "++", ".."}) {
                    if (std::string_view(text).substr(i).starts_with(sign)) {
                        end = i + sign.size();
                        break;
                    }
                }
            }
            tokens.push_back({i, end - i});
            i = end;
        }
        return tokens;
    }

    std::string misspell(std::string word) {
        const std::size_t at = below(word.size());
        switch (below(4)) {
            case 0:
                if (word.size() > 1) return word.erase(at, 1);
                break;
            case 1: return word.insert(at, 1, word[at]);
            case 2:
                if (at + 1 < word.size()) std::swap(word[at], word[at + 1]);
                return word;
            default: break;
        }
        word[at] = static_cast<char>('a' + below(26));
        return word;
    }

    std::string other_number(const std::string& word) {
        static const char* const kOthers[] = {"0",
                                              "1",
                                              "-1",
                                              "2",
                                              "3",
                                              "7",
                                              "64",
                                              "1000000",
                                              "9223372036854775807",
                                              "99999999999999999999",
                                              "0.5",
                                              "1e-30",
                                              "1e300",
                                              "4611686018427387904",
                                              "3ep",
                                              "2147483648"};
        if (below(3) == 0) return std::to_string(std::strtoll(word.c_str(), nullptr, 10) + 1);
        return kOthers[below(std::size(kOthers))];
    }

    std::uint64_t state_;
};

// Programs that are right: the examples, and those of the language's design.
inline std::vector<std::pair<std::string, std::string>> right_programs() {
    std::vector<std::pair<std::string, std::string>> programs;
    for (const char* folder : {"/examples", "/tests/data/language/examples"}) {
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(std::string(NETC_SOURCE_DIR) + folder)) {
            if (entry.path().extension() != ".net") continue;
            std::ifstream file(entry.path(), std::ios::binary);
            programs.emplace_back(entry.path().string(),
                                  std::string(std::istreambuf_iterator<char>(file),
                                              std::istreambuf_iterator<char>()));
        }
    }
    std::sort(programs.begin(), programs.end());
    return programs;
}

// `count` mutants in turns over the programs. NETC_MUTANTS and NETC_SEED in the environment ask for
// other ones than every test run makes: for an hour's search, or for one that failed.
inline std::vector<Mutant> make_mutants(std::size_t count, std::uint64_t seed) {
    if (const char* wanted = std::getenv("NETC_MUTANTS"))
        count = std::strtoull(wanted, nullptr, 10);
    if (const char* wanted = std::getenv("NETC_SEED")) seed = std::strtoull(wanted, nullptr, 10);
    const auto programs = right_programs();
    Mutator mutator(seed);
    std::vector<Mutant> mutants;
    mutants.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto& [file, text] = programs[i % programs.size()];
        mutants.push_back(mutator.mutate(file, text));
    }
    return mutants;
}

}  // namespace netc
