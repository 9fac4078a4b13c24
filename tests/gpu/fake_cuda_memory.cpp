// The fake driver's memory: allocations of device and pinned memory, copies and what they may touch.
#include <cstdlib>
#include <cstring>

#include "tests/gpu/fake_cuda.h"

namespace fake_cuda {

bool inside(const std::map<Address, std::size_t>& all, Address address, std::size_t bytes) {
    auto found = all.upper_bound(address);
    if (found == all.begin()) return false;
    --found;
    return address >= found->first && address + bytes <= found->first + found->second;
}
bool is_device(Address address, std::size_t bytes) {
    return inside(state().device, address, bytes);
}

}  // namespace fake_cuda

using namespace fake_cuda;

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
