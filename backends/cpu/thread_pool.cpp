// See the header.
#include "backends/cpu/thread_pool.h"

#include <algorithm>
#include <system_error>

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
    // Where the system grants no more threads, fewer do the work: results do not depend on their number.
    try {
        for (int i = 1; i < threads; ++i) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
    }
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

void ThreadPool::take_pieces(std::uint32_t round) {
    std::uint64_t ticket = ticket_.load();
    while (true) {
        if (static_cast<std::uint32_t>(ticket >> 32) != round) return;
        const auto number = static_cast<std::uint32_t>(ticket);
        if (number >= pieces_.load()) return;
        // Fails where another thread took it, or the round is over: `ticket` is read anew.
        if (!ticket_.compare_exchange_weak(ticket, ticket + 1)) continue;
        const std::int64_t from = piece_ * number;
        (*body_)(from, std::min(count_, from + piece_));
        done_.fetch_add(1);
        ticket = ticket_.load();
    }
}

void ThreadPool::work() {
    const FlushSubnormals flush;
    std::uint32_t seen = 0;
    while (true) {
        for (int spin = 0; spin < kSpins && round_.load() == seen; ++spin) relax();
        if (round_.load() == seen) {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return round_.load() != seen; });
        }
        seen = round_.load();
        if (stop_) return;
        take_pieces(seen);
    }
}

void ThreadPool::run(std::int64_t count,
                     const std::function<void(std::int64_t, std::int64_t)>& body) {
    const auto all = static_cast<std::int64_t>(threads_.size()) + 1;
    const std::uint32_t round = round_.load() + 1;
    body_ = &body;
    count_ = count;
    // Several pieces for each thread, so that a late one holds up nobody for long.
    piece_ = std::max<std::int64_t>(1, count / (all * 4));
    const auto pieces = static_cast<std::uint32_t>((count + piece_ - 1) / piece_);
    done_ = 0;
    pieces_ = pieces;
    ticket_ = std::uint64_t{round} << 32;
    {
        const std::lock_guard lock(mutex_);
        round_ = round;
    }
    wake_.notify_all();
    take_pieces(round);
    // Pieces that others hold. On a busy machine their thread may not be running: let it.
    for (int spin = 0; done_.load() < pieces; ++spin) {
        if (spin < kSpins) {
            relax();
        } else {
            std::this_thread::yield();
        }
    }
}

}  // namespace netc
