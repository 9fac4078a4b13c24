// Which extensions of x86-64 code may use, and how a program finds out at run time whether they are there.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace llvm {
class MCSubtargetInfo;
}

namespace netc {

// A bit of CPUID: leaf, its second number, register (0 eax .. 3 edx), bit.
struct X86Feature {
    const char* name;  // LLVM's
    std::uint32_t leaf, subleaf, position, bit;
    auto page() const { return std::pair(leaf, subleaf); }
};

// All that code for `info` may use and an object asks for: the code generator takes what it is allowed, without being
// asked.
std::vector<X86Feature> asked_features(const llvm::MCSubtargetInfo& info);

// Of `info`, extensions that are not among them and no part of every x86-64 with AVX: they are to be switched off.
std::vector<std::string> unasked_features(const llvm::MCSubtargetInfo& info);

}  // namespace netc
