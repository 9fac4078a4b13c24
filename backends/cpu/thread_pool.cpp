// See the header.
#include "backends/cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <system_error>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace netc {
namespace {

using Clock = std::chrono::steady_clock;

// Waiting, in three parts. Awake for about the gap between two kernels that are shared; then giving way to
// whoever wants the core, for about the gap between two steps of training; then asleep.
constexpr std::chrono::microseconds kAwake{30};
constexpr std::chrono::microseconds kGivingWay{2000};

// A thread that holds a piece for so long after all others are done was not running.
constexpr std::chrono::microseconds kLate{200};
constexpr int kMostAlone = 63;

// Several pieces for each thread, so that a late one holds up nobody for long.
constexpr std::int64_t kPiecesEach = 4;

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

class Wait {
public:
    // `crowded`: others may want this core at once.
    explicit Wait(bool crowded) : awake_(crowded ? std::chrono::microseconds(0) : kAwake) {}

    // Lets some time pass; false once it was long enough to fall asleep.
    bool pass() {
        if (++spins_ % 16 != 0) {
            relax();
            return true;
        }
        const auto waited = Clock::now() - start_;
        if (waited > awake_) std::this_thread::yield();
        return waited < kGivingWay;
    }

private:
    std::chrono::microseconds awake_;
    Clock::time_point start_ = Clock::now();
    int spins_ = 0;
};

std::uint32_t round_of(std::uint64_t ticket) { return static_cast<std::uint32_t>(ticket >> 32); }

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

ThreadPool::ThreadPool(int threads)
    : crowded_(std::thread::hardware_concurrency() < static_cast<unsigned>(threads)),
      shares_(std::make_unique<Share[]>(static_cast<std::size_t>(std::max(1, threads)))) {
    // Where the system grants no more threads, fewer do the work: results do not depend on their number.
    try {
        for (; count_ < threads; ++count_) {
            Share& own = shares_[static_cast<std::size_t>(count_)];
            threads_.emplace_back([this, &own] { work(own); });
        }
    } catch (const std::system_error&) {
    }
}

ThreadPool::~ThreadPool() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

// Takes pieces until none is left, its own share first; gives how many it finished.
std::int64_t ThreadPool::take_pieces(std::uint32_t round, std::size_t first) {
    std::int64_t finished = 0;
    const auto all = static_cast<std::size_t>(count_);
    for (std::size_t i = 0; i < all; ++i) {
        Share& share = shares_[(first + i) % all];
        std::uint64_t ticket = share.ticket.load(std::memory_order_acquire);
        while (round_of(ticket) == round) {
            const auto next = static_cast<std::int64_t>(ticket & 0xffff);
            if (next >= static_cast<std::int64_t>((ticket >> 16) & 0xffff)) break;
            // Fails where another thread took it, or the round is over: `ticket` is read anew.
            if (!share.ticket.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel,
                                                    std::memory_order_acquire)) {
                continue;
            }
            const std::int64_t from = share.piece * next;
            share.job.call(share.job.context, from, std::min(share.count, from + share.piece));
            ++finished;
            ++ticket;
        }
    }
    return finished;
}

bool ThreadPool::has_work(const Share& own, std::uint32_t seen) const {
    return round_of(own.ticket.load()) != seen || stop_;
}

// Either the caller sees this thread asleep, or this thread sees the new round: both write first, then read.
void ThreadPool::sleep(const Share& own, std::uint32_t seen) {
    std::unique_lock lock(mutex_);
    ++asleep_;
    wake_.wait(lock, [&] { return has_work(own, seen); });
    --asleep_;
}

void ThreadPool::work(Share& own) {
    const FlushSubnormals flush;
    const auto number = static_cast<std::size_t>(&own - shares_.get());
    std::uint32_t seen = 0;
    while (true) {
        Wait wait(crowded_);
        while (!has_work(own, seen)) {
            if (!wait.pass()) sleep(own, seen);
        }
        if (stop_) return;
        seen = round_of(own.ticket.load(std::memory_order_acquire));
        const std::int64_t finished = take_pieces(seen, number);
        if (finished > 0) done_.fetch_add(finished, std::memory_order_release);
    }
}

void ThreadPool::share_out(const Job& job, std::int64_t count, std::int64_t pieces,
                           std::int64_t piece) {
    done_.store(0, std::memory_order_relaxed);
    ++round_;
    for (std::int64_t i = count_; i-- > 0;) {  // the caller's last: it is here
        Share& share = shares_[static_cast<std::size_t>(i)];
        share.job = job;
        share.count = count;
        share.piece = piece;
        const auto next = static_cast<std::uint64_t>(pieces * i / count_);
        const auto end = static_cast<std::uint64_t>(pieces * (i + 1) / count_);
        share.ticket.store(std::uint64_t{round_} << 32 | end << 16 | next);
    }
    if (asleep_.load() > 0) {
        const std::lock_guard lock(mutex_);  // whoever falls asleep does it before or after
        wake_.notify_all();
    }
}

void ThreadPool::run_job(const Job& job, std::int64_t count) {
    if (count_ == 1 || alone_ > 0) {
        alone_ -= count_ > 1;
        if (count > 0) job.call(job.context, 0, count);
        return;
    }
    const std::int64_t piece = std::max<std::int64_t>(1, count / (count_ * kPiecesEach));
    const std::int64_t pieces = (count + piece - 1) / piece;
    const auto start = Clock::now();
    share_out(job, count, pieces, piece);
    const std::int64_t rest = pieces - take_pieces(round_, 0);
    if (done_.load(std::memory_order_acquire) == rest) {
        penalty_ = 0;
        return;
    }
    // Pieces that others hold. On a busy machine their thread may not be running: let it. Where that took
    // longer than all that was done here, do some rounds alone, more each time that it happens again.
    const auto joining = Clock::now();
    for (Wait wait(crowded_); done_.load(std::memory_order_acquire) < rest;) wait.pass();
    const auto waited = Clock::now() - joining;
    const bool late = waited > kLate && waited > joining - start;
    penalty_ = late ? std::min(2 * penalty_ + 1, kMostAlone) : 0;
    alone_ = penalty_;
}

}  // namespace netc
