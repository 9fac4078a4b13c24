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
//
// Here are the device, contexts and what tests ask; memory, modules and launches, streams have files of their own.
#include "tests/gpu/fake_cuda.h"

#include <cstdlib>
#include <cstring>
#include <sstream>

FakeLaunch netc_fake_launch = nullptr;

namespace fake_cuda {
namespace {

thread_local bool t_current = false;
thread_local std::vector<bool> t_pushed;  // what was current before each push

bool is_lost(Result code) { return code == 214 || (code >= 700 && code < 720) || code == 999; }

}  // namespace

State& state() {
    static State all;
    return all;
}

void problem(const std::string& text) { state().problems += text + "\n"; }

std::string variable(const char* name, const char* otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? text : otherwise;
}

Result enter(const char* function, bool needs_context) {
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

}  // namespace fake_cuda

using namespace fake_cuda;

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
