// links: backends
// The cache of machine code: what is in it comes back, what is damaged or too much goes.
#include "backends/cpu/code_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include <catch2/catch.hpp>

#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

std::string key_of(int number) { return code_key({"object", std::to_string(number)}); }

// Ten objects of 1000 bytes, the first used last.
CodeCache filled(const std::string& directory) {
    CodeCache cache(directory);
    for (int i = 0; i < 10; ++i) {
        cache.save(key_of(i), std::string(1000, 'x'));
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    CHECK(cache.load(key_of(0)) == std::string(1000, 'x'));
    return cache;
}

int count(const CodeCache& cache) {
    int found = 0;
    for (int i = 0; i < 10; ++i) found += cache.load(key_of(i)).has_value();
    return found;
}

}  // namespace

TEST_CASE("what was not used for the longest time goes first, until a quarter is free") {
    const TemporaryDirectory directory;
    const CodeCache cache = filled(directory.path());
    cache.trim(20000);
    CHECK(count(cache) == 10);
    // Of 9000 bytes three quarters: six objects with their heads.
    (void)filled(directory.path());
    cache.trim(9000);
    CHECK(cache.load(key_of(0)).has_value());
    CHECK(cache.load(key_of(9)).has_value());
    CHECK_FALSE(cache.load(key_of(1)).has_value());
    CHECK(count(cache) == 6);
}

TEST_CASE("what cannot be read is not there") {
    const TemporaryDirectory directory;
    const CodeCache cache(directory.path());
    cache.save(key_of(0), "object");
    for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
        std::filesystem::remove(entry.path());
        std::filesystem::create_directory(entry.path());
    }
    CHECK(!cache.load(key_of(0)).has_value());
}

TEST_CASE("one process removes at a time, and files of others stay") {
    const TemporaryDirectory directory;
    directory.write("mine.o", std::string(50000, 'y'));
    const CodeCache cache = filled(directory.path());
    const int lock = open(directory.file("lock").c_str(), O_RDWR | O_CREAT, 0666);
    REQUIRE(flock(lock, LOCK_EX) == 0);
    cache.trim(9000);
    CHECK(count(cache) == 10);
    close(lock);
    cache.trim(9000);
    CHECK(count(cache) < 10);
    CHECK(access(directory.file("mine.o").c_str(), R_OK) == 0);
}

TEST_CASE("threads that save and load the same key see it whole or not at all") {
    const TemporaryDirectory directory;
    const CodeCache cache(directory.path());
    const std::string object(100000, 'z');
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i) {
                cache.save(key_of(0), object);
                const auto found = cache.load(key_of(0));
                if (!found || *found != object) ++wrong;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
}
