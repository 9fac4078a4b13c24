// The multiply-add rate of one core without memory, for figures as shares of it.
#pragma once

#include <chrono>
#include <cstdint>

namespace netc::test {

inline double seconds_now() {
    using Clock = std::chrono::steady_clock;
    return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

#if defined(__x86_64__)
using Vector16 = float __attribute__((vector_size(64)));
using Vector8 = float __attribute__((vector_size(32)));

// 16 independent chains; gives multiply-adds x 2.
__attribute__((target("avx512f"), noinline)) inline double fma_chains_512(std::int64_t rounds) {
    asm volatile("1:\n"
                 ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
                 "vfmadd231ps %%zmm31,%%zmm30,%%zmm\\r\n"
                 ".endr\n"
                 "dec %0\n"
                 "jnz 1b\n"
                 : "+r"(rounds)
                 :
                 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                   "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    return 16.0 * 16 * 2;
}
__attribute__((target("avx2,fma"), noinline)) inline double fma_chains_256(std::int64_t rounds) {
    asm volatile("1:\n"
                 ".irp r,0,1,2,3,4,5,6,7,8,9,10,11\n"
                 "vfmadd231ps %%ymm15,%%ymm14,%%ymm\\r\n"
                 ".endr\n"
                 "dec %0\n"
                 "jnz 1b\n"
                 : "+r"(rounds)
                 :
                 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                   "xmm9", "xmm10", "xmm11");
    return 12.0 * 8 * 2;
}
#endif

// Operations a second (a multiply-add is two); the best of some short runs.
inline double fma_peak(bool avx512) {
    double best = 0;
#if defined(__x86_64__)
    for (int i = 0; i < 20; ++i) {
        constexpr std::int64_t kRounds = 20000;
        const double start = seconds_now();
        const double each = avx512 ? fma_chains_512(kRounds) : fma_chains_256(kRounds);
        const double rate = each * static_cast<double>(kRounds) / (seconds_now() - start);
        if (rate > best) best = rate;
    }
#else
    (void)avx512;
#endif
    return best;
}

}  // namespace netc::test
