// links: ir backends runtime
// labels: serial
// The same runtime on a real GPU, where there is one: two kernels in PTX, by hand.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/train/session.h"
#include "tests/gpu/fake_program.h"

using namespace netc;

namespace {

// What fake_program() wants of its kernels: see there. The shared memory of `scale` is dynamic and more than 48 KiB.
constexpr char kKernels[] = R"(
.address_size 64
.extern .shared .align 16 .b8 memory[];

.visible .entry scale(.param .u64 x, .param .u64 w, .param .u64 h, .param .u64 y, .param .u32 B, .param .u64 fault)
{
    .reg .pred %p<2>;
    .reg .b32 %r<8>;
    .reg .f32 %f<8>;
    .reg .b64 %d<16>;
    ld.param.u64 %d0, [x];
    ld.param.u64 %d1, [w];
    ld.param.u64 %d2, [h];
    ld.param.u64 %d3, [y];
    ld.param.u32 %r0, [B];
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %tid.x;
    mad.lo.u32 %r3, %r1, 128, %r2;
    shl.b32 %r4, %r0, 1;
    setp.ge.u32 %p0, %r3, %r4;
    @%p0 bra end;
    mul.wide.u32 %d4, %r3, 4;
    add.u64 %d5, %d0, %d4;
    ld.global.f32 %f0, [%d5];
    add.f32 %f1, %f0, %f0;
    mov.u64 %d10, memory;
    cvt.u64.u32 %d11, %r2;
    mad.lo.u64 %d12, %d11, 4, %d10;
    st.shared.f32 [%d12+65024], %f1;
    ld.shared.f32 %f1, [%d12+65024];
    add.u64 %d6, %d2, %d4;
    st.global.f32 [%d6], %f1;
    and.b32 %r5, %r3, 1;
    mul.wide.u32 %d7, %r5, 4;
    add.u64 %d8, %d1, %d7;
    ld.global.f32 %f2, [%d8];
    mul.f32 %f3, %f1, %f2;
    add.u64 %d9, %d3, %d4;
    st.global.f32 [%d9], %f3;
end:
    ret;
}

.visible .entry step(.param .u64 ids, .param .u64 w, .param .u64 count, .param .u64 rate, .param .u64 loss, .param .u32 B, .param .u64 fault)
{
    .reg .pred %p<4>;
    .reg .b32 %r<8>;
    .reg .f32 %f<4>;
    .reg .b64 %d<16>;
    ld.param.u64 %d0, [ids];
    ld.param.u64 %d1, [w];
    ld.param.u64 %d2, [count];
    ld.param.u64 %d3, [loss];
    ld.param.u64 %d4, [fault];
    ld.param.u32 %r0, [B];
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %tid.x;
    or.b32 %r3, %r1, %r2;
    setp.ne.u32 %p0, %r3, 0;
    @%p0 bra end;
    mov.u32 %r4, 0;
    mov.u32 %r6, 1;
next:
    setp.ge.u32 %p1, %r4, %r0;
    @%p1 bra done;
    mul.wide.u32 %d5, %r4, 4;
    add.u64 %d6, %d0, %d5;
    ld.global.u32 %r5, [%d6];
    setp.eq.u32 %p2, %r5, 77;
    @%p2 st.global.u32 [%d4], %r6;
    add.u32 %r4, %r4, 1;
    bra next;
done:
    ld.global.f32 %f0, [%d1];
    add.f32 %f1, %f0, 0f3F800000;
    st.global.f32 [%d1], %f1;
    st.global.f32 [%d3], %f1;
    ld.global.u64 %d7, [%d2];
    add.u64 %d8, %d7, 1;
    st.global.u64 [%d2], %d8;
end:
    ret;
}
)";

Result<GpuCode> code(const Program& program, const std::vector<std::string>&,
                     const GpuTarget& target) {
    GpuCode made;
    made.ptx = ".version 8.0\n.target " + target.name() + "\n" + kKernels;
    for (std::size_t k = 0; k < program.kernels.size(); ++k) {
        made.kernels.push_back({{GpuLaunch{k == 0 ? "scale" : "step",
                                           128,
                                           k == 0 ? std::int64_t{64} * 1024 : 0,
                                           {{{1, 0}, 64}}}},
                                {}});
    }
    return made;
}

// A GPU, or the end of this program as one that cannot run here.
std::unique_ptr<GpuExecutable> executable(const std::string& target = {}) {
    GpuOptions options;
    options.target = target;
    const auto make = []() -> Result<Program> { return fake_program(); };
    auto made = gpu_jit_with({.key = {}, .make = make}, options, code);
    if (!made && made.error().status == kExitRun) {
        std::printf("SKIPPED: %s\n", made.error().message.c_str());
        std::fflush(stdout);
        std::_Exit(77);
    }
    if (!made) FAIL(made.error().message);
    return std::move(*made);
}

std::vector<float> forward(Session& session, const std::vector<float>& x, const char* entry) {
    const std::byte* const input[] = {reinterpret_cast<const std::byte*>(x.data())};
    const Status ran = session.run(entry, input, static_cast<std::int64_t>(x.size() / 2));
    if (!ran) FAIL(ran.error().message);
    std::vector<float> y(x.size());
    std::memcpy(y.data(), session.output(0).data(), y.size() * sizeof(float));
    const Status waited = session.wait();
    if (!waited) FAIL(waited.error().message);
    return y;
}

Status train(Session& session, const std::vector<std::int32_t>& ids) {
    const std::byte* const input[] = {reinterpret_cast<const std::byte*>(ids.data())};
    return session.run("train_step", input, static_cast<std::int64_t>(ids.size()));
}

void put(Session& session, float a, float b) {
    const float values[] = {a, b};
    const VariablePlace& w = session.program().weights[0];
    std::memcpy(session.variable(w).data(), values, sizeof values);
}

}  // namespace

TEST_CASE("a program on the GPU") {
    for (const char* target : {"", "sm_80"}) {
        const auto gpu = executable(target);
        auto session = Session::create(gpu->program(), *gpu);
        REQUIRE(session.ok());
        put(*session, 3, 5);
        CHECK(forward(*session, {1, 1, 2, 2}, "forward") == std::vector<float>{6, 10, 12, 20});
        for (int i = 0; i < 100; ++i) REQUIRE(train(*session, {1, 2, 3}).ok());
        CHECK(session->number("loss") == 303);
        CHECK(session->steps_done() == 300);
        const Session& read = *session;
        float weight = 0;
        std::memcpy(&weight, read.variable(read.program().weights[0]).data(), sizeof weight);
        CHECK(weight == 303);
        CHECK(forward(*session, {1, 1}, "evaluate") == std::vector<float>{606, 10});
        const std::size_t many = std::size_t{2} << 20;
        put(*session, 1, 1);
        CHECK(forward(*session, std::vector<float>(many, 1), "forward") ==
              std::vector<float>(many, 2));
    }
}

TEST_CASE("inputs that follow each other without waiting") {
    const auto gpu = executable();
    auto session = Session::create(gpu->program(), *gpu);
    REQUIRE(session.ok());
    put(*session, 1, 1);
    std::vector<float> x(std::size_t{2} << 18);
    for (int round = 0; round < 50; ++round) {
        std::fill(x.begin(), x.end(), static_cast<float>(round));
        const std::byte* const input[] = {reinterpret_cast<const std::byte*>(x.data())};
        REQUIRE(session->run("forward", input, static_cast<std::int64_t>(x.size() / 2)).ok());
        if (round % 7 != 0) continue;
        float first = 0, last = 0;
        const auto y = session->output(0);
        std::memcpy(&first, y.data(), sizeof first);
        std::memcpy(&last, y.data() + y.size() - sizeof last, sizeof last);
        CHECK(first == static_cast<float>(2 * round));
        CHECK(last == static_cast<float>(2 * round));
    }
    CHECK(session->wait().ok());
}

TEST_CASE("an index that the GPU finds out of range") {
    const auto gpu = executable();
    auto session = Session::create(gpu->program(), *gpu);
    REQUIRE(session.ok());
    REQUIRE(train(*session, {1, 77}).ok());
    const Status status = session->wait();
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().message == index_out_of_range("train_step").message);
    REQUIRE(train(*session, {1, 2}).ok());
    CHECK(session->wait().ok());
}
