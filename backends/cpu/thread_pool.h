// Threads that stay: they wait for work for a moment awake, then asleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
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

    // body(from, to) over 0 .. count in pieces, on all threads; returns when all is done. One caller at a
    // time.
    void run(std::int64_t count, const std::function<void(std::int64_t, std::int64_t)>& body);

private:
    void work();
    void take_pieces(std::uint32_t round);

    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<std::uint32_t> round_{0};  // bumped to wake the threads
    std::atomic<bool> stop_{false};
    // Round in the upper half, next piece in the lower: a thread that wakes late finds another round or no
    // piece, and nobody waits for it.
    std::atomic<std::uint64_t> ticket_{0};
    std::atomic<std::uint32_t> pieces_{0};
    std::atomic<std::uint32_t> done_{0};
    // Of this round; read only by who holds a piece of it.
    std::int64_t count_ = 0;
    std::int64_t piece_ = 1;
    const std::function<void(std::int64_t, std::int64_t)>* body_ = nullptr;
};

}  // namespace netc
