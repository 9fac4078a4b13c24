#include "bench/gpu/peaks.h"

#include <fmt/format.h>

#include "bench/gpu/launches.h"

namespace netc::gpu_bench {
namespace {

constexpr int kThreads = 256;
constexpr int kChains = 16;           // of multiply-adds that do not wait for each other
constexpr int kUnrolled = 8;          // of each, between two jumps
constexpr int kRounds = 4096;         // jumps
constexpr int kBlocks = 132 * 8 * 4;  // so many that the last ones do not count
constexpr int kPieces = 4;            // of 16 bytes that a thread copies
constexpr std::int64_t kBytes = std::int64_t{1} << 28;

std::string text() {
    std::string ptx = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry nothing(.param .u64 to) { ret; }
.visible .entry copy(.param .u64 to, .param .u64 from)
{
    .reg .b32 %r<4>;
    .reg .f32 %f<16>;
    .reg .b64 %d<6>;
    ld.param.u64 %d0, [to];
    ld.param.u64 %d1, [from];
    mov.u32 %r0, %ctaid.x;
    mov.u32 %r1, %tid.x;
)";
    ptx += fmt::format("    mad.lo.u32 %r2, %r0, {}, %r1;\n", kThreads * kPieces);
    ptx +=
        "    mul.wide.u32 %d2, %r2, 16;\n    add.u64 %d3, %d0, %d2;\n    add.u64 %d4, %d1, %d2;\n";
    for (const char* what : {"ld", "st"}) {
        for (int k = 0; k < kPieces; ++k) {
            const std::string values =
                fmt::format("{{%f{}, %f{}, %f{}, %f{}}}", 4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3);
            const int at = k * kThreads * 16;
            ptx += what[0] == 'l' ? fmt::format("    ld.global.v4.f32 {}, [%d4+{}];\n", values, at)
                                  : fmt::format("    st.global.v4.f32 [%d3+{}], {};\n", at, values);
        }
    }
    ptx += R"(    ret;
}
.visible .entry multiply(.param .u64 to)
{
    .reg .pred %p<2>;
    .reg .b32 %r<4>;
    .reg .f32 %f<32>;
    .reg .b64 %d<4>;
    ld.param.u64 %d0, [to];
    mov.u32 %r0, %tid.x;
    cvt.rn.f32.u32 %f30, %r0;
    mov.f32 %f31, 0f3F000000;
    mov.u32 %r1, 0;
)";
    for (int k = 0; k < kChains; ++k) ptx += fmt::format("    mov.f32 %f{}, %f30;\n", k);
    ptx += "next:\n";
    for (int i = 0; i < kUnrolled * kChains; ++i)
        ptx += fmt::format("    fma.rn.f32 %f{0}, %f{0}, %f31, %f30;\n", i % kChains);
    ptx += fmt::format(
        "    add.u32 %r1, %r1, 1;\n    setp.lt.u32 %p0, %r1, {};\n    @%p0 bra next;\n", kRounds);
    for (int k = 1; k < kChains; ++k) ptx += fmt::format("    add.f32 %f0, %f0, %f{};\n", k);
    // Never: but the sum is wanted.
    ptx += R"(    setp.eq.f32 %p1, %f0, 0f3F9D70A4;
    @%p1 st.global.f32 [%d0], %f0;
    ret;
}
)";
    return ptx;
}

}  // namespace

Result<Peaks> measure_peaks(const SharedDevice& device) {
    const cuda::Functions& f = device->functions();
    Result<DeviceStream> stream = make_stream(device);
    if (!stream) return stream.error();
    Result<DeviceModule> module = load_module(device, text());
    if (!module) return module.error();
    Result<DeviceMemory> to = allocate(device, kBytes, "benchmark");
    if (!to) return to.error();
    Result<DeviceMemory> from = allocate(device, kBytes, "benchmark");
    if (!from) return from.error();
    if (Status s = device->check(f.fill_bytes(from->get(), 0, kBytes, stream->get()), "clearing");
        !s)
        return s.error();
    const auto seconds = [&](const char* name, unsigned blocks, int launches) -> Result<double> {
        cuda::Function function = nullptr;
        if (Status s =
                device->check(f.module_function(&function, module->get(), name), "looking up");
            !s)
            return s.error();
        cuda::Address first = to->get(), second = from->get();
        void* parameters[] = {&first, &second};
        const auto graph = capture(device, stream->get(), [&]() -> Status {
            Status status;
            for (int i = 0; i < launches && status; ++i)
                status = device->check(f.launch(function, blocks, 1, 1, kThreads, 1, 1, 0,
                                                stream->get(), parameters, nullptr),
                                       "launching");
            return status;
        });
        if (!graph) return graph.error();
        const auto work = [&](std::int64_t times) -> Status {
            for (std::int64_t i = 0; i < times; ++i) {
                if (Status s =
                        device->check(f.graph_launch(graph->get(), stream->get()), "running");
                    !s)
                    return s;
            }
            return device->check(f.stream_synchronize(stream->get()), "running");
        };
        const Result<double> all = median_seconds(0.2, work);
        if (!all) return all.error();
        return *all / launches;
    };
    const auto copy = seconds("copy", kBytes / (kThreads * kPieces * 16), 1);
    if (!copy) return copy.error();
    const auto multiply = seconds("multiply", kBlocks, 1);
    if (!multiply) return multiply.error();
    const auto nothing = seconds("nothing", 1, 100);
    if (!nothing) return nothing.error();
    const double products = 1.0 * kBlocks * kThreads * kChains * kUnrolled * kRounds;
    return Peaks{2 * products / *multiply, 2.0 * kBytes / *copy, *nothing};
}

}  // namespace netc::gpu_bench
