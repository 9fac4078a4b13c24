#include "cli/lsp_words.h"

#include <algorithm>
#include <cctype>

namespace netc {
namespace {

constexpr std::string_view kKeywords[] = {
    "and",   "any",      "as",     "assert", "augment", "b1",     "bf16",   "bool",   "const",
    "dtype", "else",     "f16",    "f32",    "f64",     "false",  "float",  "fn",     "for",
    "i16",   "i32",      "i64",    "i8",     "if",      "import", "in",     "init",   "int",
    "layer", "let",      "list",   "metric", "model",   "net",    "not",    "option", "or",
    "param", "real",     "repeat", "return", "scan",    "state",  "string", "target", "then",
    "train", "training", "true",   "u8",     "update",  "var",    "with",   "yield"};
// Words that are names too, as the rule `name` of the grammar says.
constexpr std::string_view kAlsoNames[] = {"target", "metric", "augment", "net",  "option", "init",
                                           "list",   "state",  "update",  "with", "dtype"};

constexpr std::string_view kSources[] = {"inline", "csv",   "idx",    "npy",     "npz",     "cifar",
                                         "images", "text",  "series", "xor",     "circles", "gauss",
                                         "spiral", "moons", "digits", "function"};
constexpr std::string_view kOptimizers[] = {"sgd", "adam", "adamw", "rmsprop", "lbfgs"};
constexpr std::string_view kSplits[] = {"random", "last", "fold"};
constexpr std::string_view kPenalties[] = {"l2", "l1"};
constexpr std::string_view kStops[] = {"patience"};
constexpr std::string_view kSaves[] = {"best", "every"};
constexpr std::string_view kPeriods[] = {"every"};
constexpr std::string_view kSolvers[] = {"normal_equation"};
constexpr std::string_view kSamples[] = {"balanced"};
constexpr std::string_view kLoads[] = {"weights"};
constexpr std::string_view kPrecisions[] = {"f32", "bf16"};
constexpr std::string_view kArithmetic[] = {"f32", "bf16", "bf16x3", "bf16x6"};
constexpr SettingWords kWords[] = {
    {"data", kSources}, {"valid", kSources},        {"test", kSources},
    {"split", kSplits}, {"penalty", kPenalties},    {"optimizer", kOptimizers},
    {"stop", kStops},   {"save", kSaves},           {"validate", kPeriods},
    {"log", kPeriods},  {"solver", kSolvers},       {"sample", kSamples},
    {"load", kLoads},   {"precision", kPrecisions}, {"matmul", kArithmetic},
};

}  // namespace

std::span<const std::string_view> keywords() { return kKeywords; }
std::span<const SettingWords> setting_words() { return kWords; }

bool is_identifier(std::string_view text) {
    const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
    const auto inner = [&](char c) {
        return letter(c) || std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '_';
    };
    if (text.empty() || text == "_" || (!letter(text[0]) && text[0] != '_')) return false;
    if (!std::ranges::all_of(text, inner)) return false;
    if (std::ranges::find(kAlsoNames, text) != std::end(kAlsoNames)) return true;
    return std::ranges::find(kKeywords, text) == std::end(kKeywords);
}

}  // namespace netc
