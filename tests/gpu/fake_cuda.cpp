// A driver without a GPU: the functions of libcuda.so.1 that netc uses, with host memory for device memory.
//
// It checks what a real driver would not tell: sizes and lifetimes of allocations that copies and launches touch, the
// number of parameters, a context and a stream where one is needed, calls that a capture does not allow, and what is
// left at the end. What was wrong is a text that netc_fake_problems() gives. Work on a stream is done late, when
// somebody waits for it: who reads too early finds old bytes.
//
// PTX is read for the names and parameters of its entries. Launches are counted and, where a test set
// netc_fake_launch, handed to it.
//
// netc_fake_reset() begins anew with what these variables say:
//     NETC_FAKE_CUDA_FAIL     cuMemAlloc_v2:2:700 makes the second call fail with 700; several with commas
//     NETC_FAKE_CUDA_VERSION  12040;  NETC_FAKE_CUDA_DEVICES  1;  NETC_FAKE_CUDA_CAPABILITY  90
//     NETC_FAKE_CUDA_MEMORY   bytes of a device, 1e9
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "backends/gpu/simt_tensor_map.h"

#define NETC_FAKE extern "C" __attribute__((visibility("default")))

// A launch: name of the kernel, blocks, threads of a block, dynamic shared memory, addresses of the parameters.
using FakeLaunch = void (*)(const char* name, unsigned blocks, unsigned threads, unsigned shared,
                            void** parameters);
NETC_FAKE FakeLaunch netc_fake_launch;
FakeLaunch netc_fake_launch = nullptr;

namespace {

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
State& state() {
    static State all;
    return all;
}
thread_local bool t_current = false;
thread_local std::vector<bool> t_pushed;  // what was current before each push

void problem(const std::string& text) { state().problems += text + "\n"; }

std::string variable(const char* name, const char* otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? text : otherwise;
}

bool is_lost(Result code) { return code == 214 || (code >= 700 && code < 720) || code == 999; }

// Begins every function: counts the call, gives the error that it is to give.
Result enter(const char* function, bool needs_context = true) {
    State& s = state();
    const int call = ++s.calls[function];
    for (const Failure& each : s.failures) {
        if (each.function != function || each.call != call) continue;
        if (is_lost(each.code)) s.lost = each.code;
        return each.code;
    }
    const std::string name = function;
    const bool frees =
        name.find("Destroy") != std::string::npos || name.find("Free") != std::string::npos ||
        name.find("Unload") != std::string::npos || name.find("Release") != std::string::npos;
    if (needs_context && !t_current) {
        problem(name + ": no context is current");
        return kInvalidContext;
    }
    // A lost device frees nothing either; the fake does, to see whether all is given back.
    return frees ? kOk : s.lost;
}

#define ENTER(...)                                                                                 \
    const std::lock_guard lock(state().mutex);                                                     \
    if (const Result injected = enter(__func__ __VA_OPT__(, ) __VA_ARGS__); injected != kOk)       \
    return injected

bool inside(const std::map<Address, std::size_t>& all, Address address, std::size_t bytes) {
    auto found = all.upper_bound(address);
    if (found == all.begin()) return false;
    --found;
    return address >= found->first && address + bytes <= found->first + found->second;
}
bool is_device(Address address, std::size_t bytes) {
    return inside(state().device, address, bytes);
}

// Kernels reach pinned memory of the host by its own address.
bool is_reachable(Address address) {
    return is_device(address, 0) || inside(state().pinned, address, 0);
}

// Of a tensor map, which a kernel has as a parameter: what is wrong with it.
std::string wrong_map(const netc::cuda::TensorMap& map) {
    const netc::TensorMapRequest* tensor = netc::request_in(&map);
    if (tensor == nullptr) return "is no tensor map";
    std::uint64_t last = 0;
    for (std::uint32_t dim = 0; dim < tensor->rank; ++dim)
        last +=
            (tensor->extents[dim] - 1) *
            (dim == 0 ? static_cast<std::uint64_t>(tensor->element_bytes()) : tensor->strides[dim]);
    const bool there =
        is_device(tensor->address, last + 1) || inside(state().pinned, tensor->address, last + 1);
    return there ? "" : "is a tensor map of what is in no allocation";
}

// Does what was given, or the first of it.
void drain(std::size_t until = ~std::size_t{0}) {
    State& s = state();
    while (!s.work.empty() && s.done < until) {
        const Work next = std::move(s.work.front());
        s.work.pop_front();
        ++s.done;
        next();
    }
}

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

Result give(void* stream, Work work) {
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (s == nullptr) return kInvalidHandle;
    s->given += 1;
    if (s->captured != nullptr) {
        s->captured->work.push_back(std::move(work));
    } else if (s->branch_of != nullptr) {
        s->branch_of->captured->work.push_back(std::move(work));
    } else {
        state().work.push_back(std::move(work));
    }
    return kOk;
}
bool captures() {
    for (void* each : state().streams) {
        if (static_cast<FakeStream*>(each)->captured != nullptr) return true;
    }
    return false;
}
// What must not happen while the calling thread records.
Result forbid_capture(const char* function) {
    if (!captures()) return kOk;
    problem(std::string(function) + " while work is recorded");
    return kCapture;
}

// Entries and their parameters; false where the text is no PTX.
bool read_ptx(const std::string& text, FakeModule& module) {
    if (text.find(".version") == std::string::npos) return false;
    for (std::size_t at = text.find(".entry"); at != std::string::npos;
         at = text.find(".entry", at + 1)) {
        const std::size_t open = text.find('(', at), close = text.find(')', at);
        if (open == std::string::npos || close == std::string::npos) return false;
        std::istringstream name(text.substr(at + 6, open - at - 6));
        auto kernel = std::make_unique<FakeKernel>();
        name >> kernel->name;
        std::istringstream list(text.substr(open + 1, close - open - 1));
        for (std::string word; list >> word;) {
            if (word.ends_with("[128]") || word.ends_with("[128],"))
                kernel->parameters.push_back(kMapBytes);
            if (word == ".u64" || word == ".b64") kernel->parameters.push_back(8);
            if (word == ".u32" || word == ".b32") kernel->parameters.push_back(4);
        }
        module.kernels[kernel->name] = std::move(kernel);
    }
    return true;
}

constexpr char kCubin[] = "fake cubin\n";

}  // namespace

// ---- for tests ------------------------------------------------------------------------------------

NETC_FAKE void netc_fake_reset() {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    s.work.clear();
    s.done = 0;
    s.order.clear();
    // What was left is no concern of the next; its memory stays.
    s.device.clear();
    s.pinned.clear();
    for (auto* set : {&s.streams, &s.events, &s.modules, &s.graphs, &s.execs, &s.links})
        set->clear();
    s.contexts = 0;
    t_pushed.clear();
    s.used = 0;
    s.failures.clear();
    s.calls.clear();
    s.problems.clear();
    s.lost = 0;
    s.version = std::stoi(variable("NETC_FAKE_CUDA_VERSION", "12040"));
    s.devices = std::stoi(variable("NETC_FAKE_CUDA_DEVICES", "1"));
    s.capability = std::stoi(variable("NETC_FAKE_CUDA_CAPABILITY", "90"));
    s.memory = std::stoull(variable("NETC_FAKE_CUDA_MEMORY", "1000000000"));
    std::istringstream all(variable("NETC_FAKE_CUDA_FAIL", ""));
    for (std::string one; std::getline(all, one, ',');) {
        std::istringstream parts(one);
        Failure failure;
        char colon = 0;
        std::getline(parts, failure.function, ':');
        parts >> failure.call >> colon >> failure.code;
        s.failures.push_back(failure);
    }
}
// What was wrong, and what has not been given back; empty where all is well. Until the next call.
NETC_FAKE const char* netc_fake_problems() {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    static std::string text;
    text = s.problems;
    const auto left = [&](const char* what, std::size_t count) {
        if (count > 0) text += std::to_string(count) + " " + what + " were not given back\n";
    };
    left("device allocations", s.device.size());
    left("pinned allocations", s.pinned.size());
    left("streams", s.streams.size());
    left("events", s.events.size());
    left("modules", s.modules.size());
    left("graphs", s.graphs.size());
    left("executable graphs", s.execs.size());
    left("links", s.links.size());
    left("contexts", static_cast<std::size_t>(s.contexts));
    left("pushed contexts of this thread", t_pushed.size());
    return text.c_str();
}
// Launches of graphs and waits for events, in the order of their calls: LLWLW.
NETC_FAKE const char* netc_fake_order() {
    const std::lock_guard lock(state().mutex);
    static std::string text;
    text = state().order;
    return text.c_str();
}
NETC_FAKE int netc_fake_calls(const char* function) {
    const std::lock_guard lock(state().mutex);
    return state().calls[function];
}

// ---- the driver -----------------------------------------------------------------------------------

NETC_FAKE Result cuInit(unsigned) {
    static const bool begun = (netc_fake_reset(), true);  // programs that run on it do not call it
    (void)begun;
    ENTER(false);
    return state().devices == 0 ? kNoDevice : kOk;
}
NETC_FAKE Result cuDriverGetVersion(int* version) {
    ENTER(false);
    *version = std::stoi(variable("NETC_FAKE_CUDA_VERSION", "12040"));
    return kOk;
}
NETC_FAKE Result cuGetErrorName(Result code, const char** text) {
    static thread_local std::string name;
    name = "CUDA_ERROR_" + std::to_string(code);
    *text = name.c_str();
    return kOk;
}
NETC_FAKE Result cuGetErrorString(Result, const char** text) {
    *text = "an injected error";
    return kOk;
}
NETC_FAKE Result cuDeviceGetCount(int* count) {
    ENTER(false);
    *count = state().devices;
    return kOk;
}
NETC_FAKE Result cuDeviceGet(int* device, int ordinal) {
    ENTER(false);
    if (ordinal < 0 || ordinal >= state().devices) return kInvalidDevice;
    *device = ordinal;
    return kOk;
}
NETC_FAKE Result cuDeviceGetName(char* name, int bytes, int device) {
    ENTER(false);
    const std::string text = "Fake GPU " + std::to_string(device);
    std::strncpy(name, text.c_str(), static_cast<std::size_t>(bytes));
    return kOk;
}
NETC_FAKE Result cuDeviceGetAttribute(int* value, int attribute, int) {
    ENTER(false);
    if (attribute != 75 && attribute != 76) return kInvalidValue;
    *value = attribute == 75 ? state().capability / 10 : state().capability % 10;
    return kOk;
}
NETC_FAKE Result cuDeviceTotalMem_v2(std::size_t* bytes, int) {
    ENTER(false);
    *bytes = state().memory;
    return kOk;
}
NETC_FAKE Result cuDevicePrimaryCtxRetain(void** context, int device) {
    ENTER(false);
    static int contexts[64];
    *context = &contexts[device];
    state().contexts += 1;
    return kOk;
}
NETC_FAKE Result cuDevicePrimaryCtxRelease_v2(int) {
    ENTER(false);
    state().contexts -= 1;
    return kOk;
}
NETC_FAKE Result cuCtxSetCurrent(void* context) {
    ENTER(false);
    t_current = context != nullptr;
    return kOk;
}
NETC_FAKE Result cuCtxPushCurrent_v2(void* context) {
    const std::lock_guard lock(state().mutex);
    // The context of a lost device can still be current.
    const Result injected = enter(__func__, false);
    if (injected != kOk && injected != state().lost) return injected;
    if (context == nullptr) return kInvalidContext;
    t_pushed.push_back(t_current);
    t_current = true;
    return kOk;
}
NETC_FAKE Result cuCtxPopCurrent_v2(void**) {
    const std::lock_guard lock(state().mutex);
    const Result injected = enter(__func__, false);
    if (injected != kOk && injected != state().lost) return injected;
    if (t_pushed.empty()) {
        problem("cuCtxPopCurrent without a push");
        return kInvalidContext;
    }
    t_current = t_pushed.back();
    t_pushed.pop_back();
    return kOk;
}
NETC_FAKE Result cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
    ENTER();
    *free = state().memory - state().used;
    *total = state().memory;
    return kOk;
}
NETC_FAKE Result cuMemAlloc_v2(Address* address, std::size_t bytes) {
    ENTER();
    State& s = state();
    if (const Result wrong = forbid_capture(__func__); wrong != kOk) return wrong;
    if (bytes == 0) return kInvalidValue;
    if (bytes > s.memory - s.used) return kOutOfMemory;
    void* const memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    std::memset(memory, 0xC7, bytes);  // whoever reads what nobody wrote finds no zeros
    *address = reinterpret_cast<Address>(memory);
    s.device[*address] = bytes;
    s.used += bytes;
    return kOk;
}
NETC_FAKE Result cuMemFree_v2(Address address) {
    ENTER();
    State& s = state();
    drain();
    const auto found = s.device.find(address);
    if (found == s.device.end()) {
        problem("cuMemFree of what is no allocation");
        return kInvalidValue;
    }
    s.used -= found->second;
    s.device.erase(found);
    std::free(reinterpret_cast<void*>(address));
    return kOk;
}
NETC_FAKE Result cuMemHostAlloc(void** memory, std::size_t bytes, unsigned) {
    ENTER();
    if (bytes == 0) return kInvalidValue;
    *memory = std::malloc(bytes);
    std::memset(*memory, 0xC7, bytes);
    state().pinned[reinterpret_cast<Address>(*memory)] = bytes;
    return kOk;
}
NETC_FAKE Result cuMemFreeHost(void* memory) {
    ENTER();
    drain();
    if (state().pinned.erase(reinterpret_cast<Address>(memory)) == 0) {
        problem("cuMemFreeHost of what is no allocation");
        return kInvalidValue;
    }
    std::free(memory);
    return kOk;
}

namespace {
// Memory that is not pinned is copied at once, after all that was given before, as the real driver does.
Result copy(void* to, const void* from, std::size_t bytes, void* stream, Address device,
            Address host) {
    if (!is_device(device, bytes)) {
        problem("a copy of " + std::to_string(bytes) + " bytes leaves its allocation");
        return kInvalidValue;
    }
    const bool pinned = inside(state().pinned, host, bytes);
    if (!pinned && captures()) {
        problem("a copy of memory that is not pinned is recorded");
        return kCapture;
    }
    const Result given = give(stream, [=] {
        if (!is_device(device, bytes) || (pinned && !inside(state().pinned, host, bytes))) {
            problem("a copy touches memory that is gone");
            return;
        }
        std::memcpy(to, from, bytes);
    });
    if (!pinned) drain();
    return given;
}
}  // namespace

NETC_FAKE Result cuMemcpyHtoDAsync_v2(Address to, const void* from, std::size_t bytes,
                                      void* stream) {
    ENTER();
    return copy(reinterpret_cast<void*>(to), from, bytes, stream, to,
                reinterpret_cast<Address>(from));
}
NETC_FAKE Result cuMemcpyDtoHAsync_v2(void* to, Address from, std::size_t bytes, void* stream) {
    ENTER();
    return copy(to, reinterpret_cast<const void*>(from), bytes, stream, from,
                reinterpret_cast<Address>(to));
}
NETC_FAKE Result cuMemcpyDtoDAsync_v2(Address to, Address from, std::size_t bytes, void* stream) {
    ENTER();
    const auto both = [=] { return is_device(to, bytes) && is_device(from, bytes); };
    if (!both()) {
        problem("a copy within the device leaves its allocation");
        return kInvalidValue;
    }
    return give(stream, [=] {
        if (both())
            std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
    });
}
NETC_FAKE Result cuMemsetD8Async(Address to, unsigned char value, std::size_t bytes, void* stream) {
    ENTER();
    if (!is_device(to, bytes)) {
        problem("a memset leaves its allocation");
        return kInvalidValue;
    }
    return give(stream, [=] {
        if (is_device(to, bytes)) std::memset(reinterpret_cast<void*>(to), value, bytes);
    });
}

NETC_FAKE Result cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**) {
    ENTER();
    std::string text = static_cast<const char*>(image);
    if (text.starts_with(kCubin)) text.erase(0, sizeof kCubin - 1);
    auto made = std::make_unique<FakeModule>();
    if (!read_ptx(text, *made)) return kInvalidPtx;
    state().modules.insert(made.get());
    *module = made.release();
    return kOk;
}
NETC_FAKE Result cuModuleUnload(void* module) {
    ENTER();
    return destroy<FakeModule>(state().modules, module, "module");
}
NETC_FAKE Result cuModuleGetFunction(void** function, void* module, const char* name) {
    ENTER();
    FakeModule* const m = handle<FakeModule>(state().modules, module, "module");
    if (m == nullptr) return kInvalidHandle;
    const auto found = m->kernels.find(name);
    if (found == m->kernels.end()) return kNotFound;
    *function = found->second.get();
    return kOk;
}
NETC_FAKE Result cuFuncGetAttribute(int* value, int attribute, void*) {
    ENTER();
    if (attribute != 4) return kInvalidValue;
    *value = 32;
    return kOk;
}
NETC_FAKE Result cuFuncSetAttribute(void* function, int attribute, int value) {
    ENTER();
    if (attribute == 9 && value <= 100) return kOk;  // a wish
    if (attribute != 8 || value > 227 * 1024) return kInvalidValue;
    static_cast<FakeKernel*>(function)->shared_limit = value;
    return kOk;
}

NETC_FAKE Result cuLinkCreate_v2(unsigned, int*, void**, void** link) {
    ENTER();
    *link = *state().links.insert(new FakeLink).first;
    return kOk;
}
NETC_FAKE Result cuLinkAddData_v2(void* link, int type, void* data, std::size_t bytes, const char*,
                                  unsigned, int*, void**) {
    ENTER();
    FakeLink* const l = handle<FakeLink>(state().links, link, "link");
    if (l == nullptr) return kInvalidHandle;
    const std::string text(static_cast<const char*>(data), bytes);
    FakeModule module;
    if (type != 1 || text.empty() || text.back() != 0 || !read_ptx(text, module))
        return kInvalidPtx;
    l->image = kCubin + text;
    return kOk;
}
NETC_FAKE Result cuLinkComplete(void* link, void** image, std::size_t* bytes) {
    ENTER();
    FakeLink* const l = handle<FakeLink>(state().links, link, "link");
    if (l == nullptr) return kInvalidHandle;
    *image = l->image.data();
    *bytes = l->image.size();
    return kOk;
}
NETC_FAKE Result cuLinkDestroy(void* link) {
    ENTER();
    return destroy<FakeLink>(state().links, link, "link");
}

NETC_FAKE Result cuStreamCreate(void** stream, unsigned) {
    ENTER();
    *stream = *state().streams.insert(new FakeStream).first;
    return kOk;
}
NETC_FAKE Result cuStreamDestroy_v2(void* stream) {
    ENTER();
    return destroy<FakeStream>(state().streams, stream, "stream");
}
NETC_FAKE Result cuStreamSynchronize(void* stream) {
    ENTER();
    if (const Result wrong = forbid_capture(__func__); wrong != kOk) return wrong;
    if (handle<FakeStream>(state().streams, stream, "stream") == nullptr) return kInvalidHandle;
    drain();
    return kOk;
}
NETC_FAKE Result cuStreamWaitEvent(void* stream, void* event, unsigned) {
    ENTER();
    // All work is one queue, in the order in which it was given; only which streams belong to a capture counts.
    FakeEvent* const e = handle<FakeEvent>(state().events, event, "event");
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (e == nullptr || s == nullptr) return kInvalidHandle;
    if (e->captured == nullptr) return kOk;
    if (s != e->captured && s->branch_of == nullptr) {
        s->branch_of = e->captured;
        s->given = s->joined = 0;
    }
    if (s == e->captured) e->stream->joined = std::max(e->stream->joined, e->given);
    return kOk;
}
NETC_FAKE Result cuStreamBeginCapture_v2(void* stream, int) {
    ENTER();
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (s == nullptr) return kInvalidHandle;
    if (s->captured != nullptr) problem("a capture within a capture");
    s->captured = std::make_unique<FakeGraph>();
    return kOk;
}
NETC_FAKE Result cuStreamEndCapture(void* stream, void** graph) {
    const std::lock_guard lock(state().mutex);
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (s == nullptr) return kInvalidHandle;
    bool unjoined = false;
    for (void* each : state().streams) {
        auto* const branch = static_cast<FakeStream*>(each);
        if (branch->branch_of != s) continue;
        if (branch->joined < branch->given) unjoined = true;
        branch->branch_of = nullptr;
    }
    std::unique_ptr<FakeGraph> made = std::move(s->captured);
    if (const Result injected = enter(__func__); injected != kOk) return injected;
    if (made == nullptr) return kInvalidValue;
    if (unjoined) return kUnjoined;
    *graph = *state().graphs.insert(made.release()).first;
    return kOk;
}
NETC_FAKE Result cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long) {
    ENTER();
    FakeGraph* const g = handle<FakeGraph>(state().graphs, graph, "graph");
    if (g == nullptr) return kInvalidHandle;
    *exec = *state().execs.insert(new FakeGraph(*g)).first;
    return kOk;
}
NETC_FAKE Result cuGraphDestroy(void* graph) {
    ENTER();
    return destroy<FakeGraph>(state().graphs, graph, "graph");
}
NETC_FAKE Result cuGraphExecDestroy(void* exec) {
    ENTER();
    return destroy<FakeGraph>(state().execs, exec, "executable graph");
}
NETC_FAKE Result cuGraphLaunch(void* exec, void* stream) {
    ENTER();
    FakeGraph* const g = handle<FakeGraph>(state().execs, exec, "executable graph");
    if (g == nullptr) return kInvalidHandle;
    state().order += 'L';
    for (const Work& work : g->work) {
        if (const Result wrong = give(stream, work); wrong != kOk) return wrong;
    }
    return kOk;
}

NETC_FAKE Result cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned bx,
                                unsigned by, unsigned bz, unsigned shared, void* stream,
                                void** parameters, void** extra) {
    ENTER();
    bool known = false;
    for (void* module : state().modules) {
        for (const auto& [name, kernel] : static_cast<FakeModule*>(module)->kernels)
            known |= kernel.get() == function;
    }
    if (!known) {
        problem("a launch of what is no function, or one of a module that is gone");
        return kInvalidHandle;
    }
    const FakeKernel& kernel = *static_cast<FakeKernel*>(function);
    if (x == 0 || x > 0x7fffffffU || y != 1 || z != 1 || bx == 0 || bx > 1024 || by != 1 ||
        bz != 1 || extra != nullptr || static_cast<int>(shared) > kernel.shared_limit) {
        problem(kernel.name + ": a launch with a wrong grid, block or shared memory");
        return kInvalidValue;
    }
    // The values are those of now, each in as many bytes as a tensor map has.
    auto values = std::make_shared<std::vector<netc::cuda::TensorMap>>();
    const auto wrong_value = [&kernel](std::size_t i, const netc::cuda::TensorMap& value) {
        if (kernel.parameters[i] == kMapBytes) return wrong_map(value);
        const bool wrong = kernel.parameters[i] == 8 && !is_reachable(value.words[0]);
        return std::string(wrong ? "is not in an allocation" : "");
    };
    for (std::size_t i = 0; i < kernel.parameters.size(); ++i) {
        netc::cuda::TensorMap value{};
        std::memcpy(&value, parameters[i], kernel.parameters[i]);
        if (const std::string wrong = wrong_value(i, value); !wrong.empty())
            problem(kernel.name + ": parameter " + std::to_string(i) + " " + wrong);
        values->push_back(value);
    }
    return give(stream, [&kernel, x, bx, shared, values, wrong_value] {
        std::vector<void*> pointers;
        for (netc::cuda::TensorMap& value : *values) pointers.push_back(&value);
        for (std::size_t i = 0; i < values->size(); ++i) {
            if (!wrong_value(i, (*values)[i]).empty())
                problem(kernel.name + ": works on memory that is gone");
        }
        state().calls["launch " + kernel.name] += 1;
        if (netc_fake_launch != nullptr)
            netc_fake_launch(kernel.name.c_str(), x, bx, shared, pointers.data());
    });
}

NETC_FAKE Result cuTensorMapEncodeTiled(void* map, int type, std::uint32_t rank, void* address,
                                        const std::uint64_t* extents, const std::uint64_t* strides,
                                        const std::uint32_t* box, const std::uint32_t* steps,
                                        int interleave, int swizzle, int promotion, int outside) {
    ENTER();
    netc::TensorMapRequest request;
    const auto wrong = [](const std::string& what) {
        problem("cuTensorMapEncodeTiled: " + what);
        return kInvalidValue;
    };
    if (reinterpret_cast<Address>(map) % 64 != 0) return wrong("a map that is not aligned to 64");
    if (rank == 0 || rank > netc::TensorMapRequest::kMostDims) return wrong("a wrong rank");
    if (type != netc::TensorMapRequest::kF32 && type != netc::TensorMapRequest::kBf16)
        return wrong("a type that netc has not");
    if (interleave != 0 || swizzle < 0 || swizzle > 3 || promotion < 0 || promotion > 3 ||
        outside != 0)
        return wrong("a mode that netc has not");
    request.address = reinterpret_cast<Address>(address);
    request.rank = rank;
    request.type = type;
    request.swizzle = swizzle;
    for (std::uint32_t dim = 0; dim < rank; ++dim) {
        if (steps[dim] != 1) return wrong("a step between elements");
        request.extents[dim] = extents[dim];
        request.strides[dim] =
            dim == 0 ? static_cast<std::uint64_t>(request.element_bytes()) : strides[dim - 1];
        request.box[dim] = box[dim];
    }
    if (const std::string what = netc::wrong_with(request); !what.empty()) return wrong(what);
    const netc::cuda::TensorMap made = netc::simt_tensor_map(request);
    std::memcpy(map, &made, sizeof made);
    return kOk;
}

NETC_FAKE Result cuEventCreate(void** event, unsigned) {
    ENTER();
    *event = *state().events.insert(new FakeEvent).first;
    return kOk;
}
NETC_FAKE Result cuEventDestroy_v2(void* event) {
    ENTER();
    return destroy<FakeEvent>(state().events, event, "event");
}
NETC_FAKE Result cuEventRecord(void* event, void* stream) {
    ENTER();
    FakeEvent* const e = handle<FakeEvent>(state().events, event, "event");
    FakeStream* const s = handle<FakeStream>(state().streams, stream, "stream");
    if (e == nullptr || s == nullptr) return kInvalidHandle;
    e->stream = s;
    e->captured = s->captured != nullptr ? s : s->branch_of;
    e->given = s->given;
    e->work = state().done + state().work.size();
    return kOk;
}
NETC_FAKE Result cuEventSynchronize(void* event) {
    ENTER();
    FakeEvent* const e = handle<FakeEvent>(state().events, event, "event");
    if (e == nullptr) return kInvalidHandle;
    state().order += 'W';
    drain(e->work);
    return kOk;
}
