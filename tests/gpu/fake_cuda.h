// What the parts of the fake driver share: its state, the things that handles stand for, how each function begins, the
// queue of work. See fake_cuda.cpp.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "backends/gpu/simt_tensor_map.h"

// The library exports nothing but what is declared so.
#define NETC_FAKE extern "C" __attribute__((visibility("default")))

// A launch: name of the kernel, blocks, threads of a block, dynamic shared memory, addresses of the parameters.
using FakeLaunch = void (*)(const char* name, unsigned blocks, unsigned threads, unsigned shared,
                            void** parameters);
NETC_FAKE FakeLaunch netc_fake_launch;

namespace fake_cuda {

using Result = int;
using Address = std::uint64_t;
constexpr Result kOk = 0, kInvalidValue = 1, kOutOfMemory = 2, kNoDevice = 100,
                 kInvalidDevice = 101, kInvalidContext = 201, kInvalidPtx = 218,
                 kInvalidHandle = 400, kNotFound = 500, kCapture = 900, kUnjoined = 904;

struct Failure {
    std::string function;
    int call = 1;
    Result code = 0;
};
constexpr std::size_t kMapBytes = sizeof(netc::cuda::TensorMap);
struct FakeKernel {
    std::string name;
    std::vector<std::size_t> parameters;  // bytes of each
    int shared_limit = 48 * 1024;
};
struct FakeModule {
    std::map<std::string, std::unique_ptr<FakeKernel>> kernels;
};
struct FakeLink {
    std::string image;
};
struct FakeStream;
struct FakeEvent {
    FakeStream* stream = nullptr;    // where it was recorded last, while that was captured
    FakeStream* captured = nullptr;  // the stream whose capture that belonged to
    std::size_t given = 0;           // work in its stream then
    std::size_t work = 0;            // what had been given to all streams then
};
using Work = std::function<void()>;
struct FakeGraph {
    std::vector<Work> work;
};
struct FakeStream {
    std::unique_ptr<FakeGraph> captured;  // while one is recorded
    FakeStream* branch_of = nullptr;      // whose capture this stream has joined
    std::size_t given = 0, joined = 0;    // work in the branch; what the capture has waited for
};

struct State {
    std::mutex mutex;
    std::vector<Failure> failures;
    std::map<std::string, int> calls;
    int version = 12040, devices = 1, capability = 90;
    std::size_t memory = 1'000'000'000, used = 0;
    int contexts = 0;
    std::map<Address, std::size_t> device, pinned;
    std::set<void*> streams, events, modules, graphs, execs, links;
    std::deque<Work> work;  // of all streams, in the order in which it was given
    std::size_t done = 0;   // how much of it is not there any more
    std::string order;      // of launches of graphs (L) and waits for events (W)
    std::string problems;
    Result lost = 0;  // once a device is lost it stays so
};

State& state();
void problem(const std::string& text);
std::string variable(const char* name, const char* otherwise);

// Begins every function: counts the call, gives the error that it is to give.
Result enter(const char* function, bool needs_context = true);

#define ENTER(...)                                                                                 \
    const std::lock_guard lock(state().mutex);                                                     \
    if (const Result injected = enter(__func__ __VA_OPT__(, ) __VA_ARGS__); injected != kOk)       \
    return injected

// ---- memory: fake_cuda_memory.cpp

bool inside(const std::map<Address, std::size_t>& all, Address address, std::size_t bytes);
bool is_device(Address address, std::size_t bytes);

// ---- work on streams: fake_cuda_streams.cpp

// Does what was given, or the first of it.
void drain(std::size_t until = ~std::size_t{0});
Result give(void* stream, Work work);
bool captures();
// What must not happen while the calling thread records.
Result forbid_capture(const char* function);

// ---- handles

template <class T>
T* handle(const std::set<void*>& all, void* given, const char* what) {
    if (all.contains(given)) return static_cast<T*>(given);
    problem(std::string("not a ") + what + ", or one that is gone");
    return nullptr;
}

template <class T>
Result destroy(std::set<void*>& all, void* given, const char* what) {
    T* const object = handle<T>(all, given, what);
    if (object == nullptr) return kInvalidHandle;
    drain();
    all.erase(given);
    delete object;
    return kOk;
}

}  // namespace fake_cuda
