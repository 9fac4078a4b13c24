// Threads that stay: they wait for work for a moment awake, then asleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace netc {

// Subnormals count as zero between construction and destruction, for this thread.
class FlushSubnormals {
public:
    FlushSubnormals();
    ~FlushSubnormals();
    FlushSubnormals(const FlushSubnormals&) = delete;
    FlushSubnormals& operator=(const FlushSubnormals&) = delete;

private:
    std::uint32_t before_ = 0;
};

class ThreadPool {
public:
    explicit ThreadPool(int threads);  // the caller is one of them
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    // body(from, to) over 0 .. count in pieces, on all threads; returns when all is done. Each thread begins
    // with the share of the range that it had the last time, then helps others. One caller at a time.
    template <class Body>
    void run(std::int64_t count, const Body& body) {
        run_job({&body, [](const void* context, std::int64_t from,
                           std::int64_t to) { (*static_cast<const Body*>(context))(from, to); }},
                count);
    }

    // Threads that the system granted, with the caller.
    int size() const { return count_; }

private:
    struct Job {
        const void* context = nullptr;
        void (*call)(const void*, std::int64_t, std::int64_t) = nullptr;
    };

    // The share of one thread, on a cache line of its own: its thread waits for it and takes from it without
    // touching what others write.
    struct alignas(64) Share {
        // Round << 32 | end << 16 | next piece. A thread that comes late finds another round, or no piece.
        std::atomic<std::uint64_t> ticket{0};
        // Of this round; read only by who holds a piece of it.
        Job job;
        std::int64_t count = 0, piece = 1;
    };

    void run_job(const Job& job, std::int64_t count);
    void share_out(const Job& job, std::int64_t count, std::int64_t pieces, std::int64_t piece);
    void work(Share& own);
    std::int64_t take_pieces(std::uint32_t round, std::size_t first);
    bool has_work(const Share& own, std::uint32_t seen) const;
    void sleep(const Share& own, std::uint32_t seen);

    const bool crowded_;  // more threads than cores
    int count_ = 1;
    std::unique_ptr<Share[]> shares_;  // the caller's first
    std::vector<std::thread> threads_;
    // The caller's: the round; how many rounds it does alone, and how many after the next late thread.
    std::uint32_t round_ = 0;
    int alone_ = 0, penalty_ = 0;
    alignas(64) std::atomic<std::int64_t> done_{0};  // pieces of this round that others finished
    alignas(64) std::atomic<int> asleep_{0};
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::condition_variable wake_;
};

}  // namespace netc
