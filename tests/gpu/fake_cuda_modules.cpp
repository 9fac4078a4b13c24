// The fake driver's kernels: modules read from PTX, the linker that makes them, tensor maps, launches.
#include <cstring>
#include <sstream>

#include "tests/gpu/fake_cuda.h"

using namespace fake_cuda;

namespace {

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
