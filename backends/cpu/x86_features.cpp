// The numbers are those of Intel's Software Developer's Manual (volume 2A, CPUID) and AMD's (volume 3, appendix E).
#include "backends/cpu/x86_features.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include <llvm/MC/MCSubtargetInfo.h>

namespace netc {
namespace {

constexpr std::uint32_t kEax = 0, kEbx = 1, kEcx = 2, kEdx = 3;
constexpr std::uint32_t kAmd = 0x80000001;

constexpr X86Feature kFeatures[] = {
    {"sse3", 1, 0, kEcx, 0},
    {"pclmul", 1, 0, kEcx, 1},
    {"ssse3", 1, 0, kEcx, 9},
    {"fma", 1, 0, kEcx, 12},
    {"sse4.1", 1, 0, kEcx, 19},
    {"sse4.2", 1, 0, kEcx, 20},
    {"movbe", 1, 0, kEcx, 22},
    {"popcnt", 1, 0, kEcx, 23},
    {"aes", 1, 0, kEcx, 25},
    {"avx", 1, 0, kEcx, 28},
    {"f16c", 1, 0, kEcx, 29},
    {"bmi", 7, 0, kEbx, 3},
    {"avx2", 7, 0, kEbx, 5},
    {"bmi2", 7, 0, kEbx, 8},
    {"avx512f", 7, 0, kEbx, 16},
    {"avx512dq", 7, 0, kEbx, 17},
    {"adx", 7, 0, kEbx, 19},
    {"avx512ifma", 7, 0, kEbx, 21},
    {"avx512cd", 7, 0, kEbx, 28},
    {"avx512bw", 7, 0, kEbx, 30},
    {"avx512vl", 7, 0, kEbx, 31},
    {"avx512vbmi", 7, 0, kEcx, 1},
    {"avx512vbmi2", 7, 0, kEcx, 6},
    {"gfni", 7, 0, kEcx, 8},
    {"vaes", 7, 0, kEcx, 9},
    {"vpclmulqdq", 7, 0, kEcx, 10},
    {"avx512vnni", 7, 0, kEcx, 11},
    {"avx512bitalg", 7, 0, kEcx, 12},
    {"avx512vpopcntdq", 7, 0, kEcx, 14},
    {"avx512vp2intersect", 7, 0, kEdx, 8},
    {"amx-bf16", 7, 0, kEdx, 22},
    {"avx512fp16", 7, 0, kEdx, 23},
    {"amx-tile", 7, 0, kEdx, 24},
    {"amx-int8", 7, 0, kEdx, 25},
    {"avxvnni", 7, 1, kEax, 4},
    {"avx512bf16", 7, 1, kEax, 5},
    {"avxifma", 7, 1, kEax, 23},
    {"avxvnniint8", 7, 1, kEdx, 4},
    {"avxneconvert", 7, 1, kEdx, 5},
    {"avxvnniint16", 7, 1, kEdx, 10},
    {"lzcnt", kAmd, 0, kEcx, 5},
    {"sse4a", kAmd, 0, kEcx, 6},
    {"xop", kAmd, 0, kEcx, 11},
    {"fma4", kAmd, 0, kEcx, 16},
    {"tbm", kAmd, 0, kEcx, 21},
};

// Part of every x86-64 that has AVX, or no instructions of their own.
constexpr std::string_view kEverywhere[] = {"64bit",      "cmov",    "cx8",  "cx16", "crc32",
                                            "fxsr",       "mmx",     "sahf", "sse",  "sse2",
                                            "vzeroupper", "evex512", "x87",  "xsave"};

// LLVM's own list of extensions. Its others say which of two ways of the same instructions is faster.
constexpr std::string_view kExtensions[] = {
#define X86_FEATURE(ENUM, NAME) NAME,
#include <llvm/TargetParser/X86TargetParser.def>
};

bool is_asked(std::string_view name) {
    return std::ranges::any_of(kFeatures,
                               [&](const X86Feature& each) { return name == each.name; });
}

}  // namespace

std::vector<X86Feature> asked_features(const llvm::MCSubtargetInfo& info) {
    std::vector<X86Feature> features;
    for (const X86Feature& feature : kFeatures) {
        if (info.checkFeatures(std::string("+") + feature.name)) features.push_back(feature);
    }
    return features;
}

std::vector<std::string> unasked_features(const llvm::MCSubtargetInfo& info) {
    std::vector<std::string> names;
    for (const llvm::SubtargetFeatureKV& feature : info.getAllProcessorFeatures()) {
        const std::string_view name = feature.Key;
        if (info.getFeatureBits().test(feature.Value) &&
            std::ranges::find(kExtensions, name) != std::end(kExtensions) &&
            std::ranges::find(kEverywhere, name) == std::end(kEverywhere) && !is_asked(name))
            names.emplace_back(name);
    }
    return names;
}

}  // namespace netc
