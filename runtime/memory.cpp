#include "runtime/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace netc {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kLargePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

}  // namespace

std::shared_ptr<std::byte> allocate_zeroed(std::size_t size) {
    if (size < kLargePage / 2) {
        const std::size_t rounded = round_up(std::max<std::size_t>(size, 1), kAlignment);
        auto* memory = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
        if (memory == nullptr) return nullptr;
        std::memset(memory, 0, rounded);
        return {memory, [](std::byte* p) { std::free(p); }};
    }
    const std::size_t whole = round_up(size, kLargePage) + kLargePage;
    void* const from =
        mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (from == MAP_FAILED) return nullptr;
    auto* const bytes = static_cast<std::byte*>(from);
    const std::size_t skipped = round_up(reinterpret_cast<std::uintptr_t>(from), kLargePage) -
                                reinterpret_cast<std::uintptr_t>(from);
#if defined(MADV_HUGEPAGE)
    (void)madvise(bytes + skipped, whole - kLargePage, MADV_HUGEPAGE);  // only a wish
#endif
    return {bytes + skipped, [from, whole](std::byte*) { munmap(from, whole); }};
}

}  // namespace netc
