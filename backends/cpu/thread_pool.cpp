// See the header.
#include "backends/cpu/thread_pool.h"

#include <algorithm>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace netc {
namespace {

constexpr int kSpins = 4000;  // some microseconds: about the gap between two kernels

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

}  // namespace

FlushSubnormals::FlushSubnormals() {
#if defined(__x86_64__)
    before_ = _mm_getcsr();
    _mm_setcsr(before_ | 0x8040u);
#endif
}

FlushSubnormals::~FlushSubnormals() {
#if defined(__x86_64__)
    _mm_setcsr(before_);
#endif
}

ThreadPool::ThreadPool(int threads) {
    for (int i = 1; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
        ++round_;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::take_pieces() {
    while (true) {
        const std::int64_t from = next_.fetch_add(piece_);
        if (from >= count_) return;
        (*body_)(from, std::min(count_, from + piece_));
    }
}

void ThreadPool::work() {
    const FlushSubnormals flush;
    std::uint64_t seen = 0;
    while (true) {
        for (int spin = 0; spin < kSpins && round_.load() == seen; ++spin) relax();
        if (round_.load() == seen) {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return round_.load() != seen; });
        }
        seen = round_.load();
        if (stop_) return;
        take_pieces();
        busy_.fetch_sub(1);
    }
}

void ThreadPool::run(std::int64_t count,
                     const std::function<void(std::int64_t, std::int64_t)>& body) {
    const auto all = static_cast<std::int64_t>(threads_.size()) + 1;
    body_ = &body;
    count_ = count;
    // Several pieces for each thread, so that a late one holds up nobody for long.
    piece_ = std::max<std::int64_t>(1, count / (all * 4));
    next_ = 0;
    busy_ = static_cast<int>(threads_.size());
    {
        const std::lock_guard lock(mutex_);
        ++round_;
    }
    wake_.notify_all();
    take_pieces();
    while (busy_.load() > 0) relax();
}

}  // namespace netc
