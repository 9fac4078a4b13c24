#include "cli/peak.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "backends/cpu/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace netc {
namespace {

double seconds_of(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double best_rate(double amount, double seconds, const std::function<void()>& work) {
    double best = 0;
    for (double spent = 0; spent < seconds;) {
        const double time = seconds_of(work);
        spent += time;
        best = std::max(best, amount / time);
    }
    return best;
}

// Keeps the compiler from dropping a loop whose result nobody reads.
volatile float sink;

constexpr int kChains = 16;  // more than latency * throughput of any core so far
constexpr int kRounds = 20000;
// The chains must stay in registers: their loops are unrolled whole. Each begins with another number,
// or the compiler sees that all are one.
#define NETC_UNROLL _Pragma("GCC unroll 16")

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void fma_avx512() {
    __m512 sum[kChains];
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    NETC_UNROLL for (int i = 0; i < kChains; ++i) sum[i] =
        _mm512_set1_ps(1.0f + static_cast<float>(i));
    for (int round = 0; round < kRounds; ++round) {
        NETC_UNROLL for (int i = 0; i < kChains; ++i) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    }
    __m512 total = sum[0];
    NETC_UNROLL for (int i = 1; i < kChains; ++i) total = _mm512_add_ps(total, sum[i]);
    sink = _mm512_cvtss_f32(total);
}

__attribute__((target("avx2,fma"))) void fma_avx2() {
    __m256 sum[12];
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    NETC_UNROLL for (int i = 0; i < 12; ++i) sum[i] = _mm256_set1_ps(1.0f + static_cast<float>(i));
    for (int round = 0; round < kRounds; ++round) {
        NETC_UNROLL for (int i = 0; i < 12; ++i) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    }
    __m256 total = sum[0];
    NETC_UNROLL for (int i = 1; i < 12; ++i) total = _mm256_add_ps(total, sum[i]);
    sink = _mm256_cvtss_f32(total);
}
#endif

void fma_scalar() {
    float sum[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (int round = 0; round < kRounds; ++round) {
        for (float& s : sum) s = s * 0.999f + 0.001f;
    }
    sink = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

double measure_fma(double seconds, const char*& vectors) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        vectors = "AVX-512";
        return best_rate(2.0 * 16 * kChains * kRounds, seconds, fma_avx512) / 1e9;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        vectors = "AVX2";
        return best_rate(2.0 * 8 * 12 * kRounds, seconds, fma_avx2) / 1e9;
    }
#endif
    vectors = "scalar";
    return best_rate(2.0 * 8 * kRounds, seconds, fma_scalar) / 1e9;
}

// Each round both threads wait for the other to begin: work that one thread does alone is no fork. On a busy
// machine the pool does some rounds that way; runs with such rounds do not count.
double measure_fork_join(double seconds) {
    ThreadPool pool(2);
    constexpr int kForks = 100;
    std::atomic<std::int64_t> begun{0}, alone{0};
    std::int64_t wanted = 0;
    const auto meet = [&](std::int64_t from, std::int64_t to) {
        begun += to - from;
        if (to - from == 2) ++alone;
        for (int spin = 0; begun < wanted; ++spin) {
            if (spin > 10000) std::this_thread::yield();  // the other has no core
        }
    };
    double best = 0;
    for (double spent = 0; spent < seconds;) {
        alone = 0;
        const double time = seconds_of([&] {
            for (int i = 0; i < kForks; ++i) {
                wanted += 2;
                pool.run(2, meet);
            }
        });
        spent += time;
        if (alone == 0 && (best == 0 || time < best)) best = time;
    }
    return best / kForks;
}

}  // namespace

Peak measure_peak(double seconds) {
    Peak peak;
    peak.gflops = measure_fma(seconds, peak.vectors);
    // Larger than any last-level cache share of these machines.
    constexpr std::size_t kFloats = std::size_t{64} << 20;
    std::vector<float> from(kFloats, 1.0f), to(kFloats / 2);
    peak.read_gbs = best_rate(kFloats * 4.0, seconds,
                              [&] {
                                  // Independent sums, so that loads and not additions limit.
                                  double sums[16] = {};
                                  const auto* words = reinterpret_cast<const double*>(from.data());
                                  for (std::size_t i = 0; i < kFloats / 2; i += 16) {
                                      for (std::size_t k = 0; k < 16; ++k) sums[k] += words[i + k];
                                  }
                                  for (const double s : sums) sink = static_cast<float>(s);
                              }) /
                    1e9;
    peak.copy_gbs = best_rate(kFloats * 4.0, seconds,
                              [&] {
                                  std::memcpy(to.data(), from.data(), kFloats * 2);
                                  sink = to[kFloats / 4];
                              }) /
                    1e9;
    peak.fork_join = measure_fork_join(0.2 * seconds);
    return peak;
}

}  // namespace netc
