// links: backends ir
// Copies of boxes of a tensor on the emulator of a grid, and the barriers that count them, with kernels by hand: what
// they bring, and each rule of theirs broken once.
#include <catch2/catch.hpp>

#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "backends/gpu/simt.h"
#include "backends/gpu/simt_tensor_map.h"

using namespace netc;

namespace {

constexpr int kThreads = 64;
constexpr std::int64_t kBytes = 16 * 1024;
constexpr std::size_t kFull = 8192, kEmpty = 8200;
constexpr std::uint32_t kBoxBytes = 1024;

// 10 rows of 40 numbers, of which boxes have 8 of 32.
constexpr std::size_t kRows = 10, kColumns = 40;
alignas(16) float source[kRows * kColumns];
std::vector<float> results;

TensorMapRequest request() {
    TensorMapRequest made;
    made.address = reinterpret_cast<cuda::Address>(source);
    made.rank = 2;
    made.extents = {kColumns, kRows};
    made.strides = {4, kColumns * 4};
    made.box = {32, 8};
    made.type = TensorMapRequest::kF32;
    made.swizzle = TensorMapRequest::kSwizzle128;
    return made;
}

std::string run(SimtFunction function) {
    for (std::size_t k = 0; k < kRows * kColumns; ++k) source[k] = static_cast<float>(k + 1);
    results.assign(8 * 32, -1);
    cuda::TensorMap map = simt_tensor_map(request());
    void* arguments[] = {&map};
    return run_simt_grid(function, arguments, 1, kThreads, kBytes);
}
bool has(const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
    return text.find(part) != std::string::npos;
}

std::byte* shared(SimtThread* thread, std::size_t at) {
    return static_cast<std::byte*>(thread->shared) + at;
}
void make_barriers(SimtThread* thread, bool fences = true, bool meets = true,
                   std::uint32_t readers = 2) {
    if (thread->thread == 0) {
        netc_simt_init_phases(thread, shared(thread, kFull), 1);
        netc_simt_init_phases(thread, shared(thread, kEmpty), readers);
        if (fences) netc_simt_fence_shared(thread);
    }
    if (meets) netc_simt_barrier(thread);
}
struct At {
    std::int32_t column = 0, row = 0;
};
void copy(void** arguments, SimtThread* thread, At at = {}, std::size_t place = 0,
          std::size_t barrier = kFull) {
    const std::int32_t coordinates[] = {at.column, at.row};
    netc_simt_copy_box(thread, shared(thread, place), arguments[0], coordinates, 2,
                       shared(thread, barrier));
}
void expect(SimtThread* thread, std::uint32_t bytes = kBoxBytes) {
    netc_simt_arrive(thread, shared(thread, kFull), bytes);
}
void arrive(SimtThread* thread) { netc_simt_arrive(thread, shared(thread, kEmpty), 0); }
void wait(SimtThread* thread, std::uint32_t parity = 0, std::size_t barrier = kFull) {
    netc_simt_wait_for_phase(thread, shared(thread, barrier), parity);
}
float read(SimtThread* thread, std::size_t row, std::size_t column) {
    // Rows of 128 bytes, whose chunks of 16 are swizzled.
    const std::size_t at = row * 128 + ((column / 4) ^ row) * 16 + column % 4 * 4;
    float value;
    netc_simt_read(thread, shared(thread, at), 4, 4);
    std::memcpy(&value, shared(thread, at), 4);
    return value;
}

}  // namespace

TEST_CASE("a box is there when its phase has ended, zeros beyond the tensor") {
    static At at;
    for (const At each : {At{0, 0}, At{8, 2}, At{16, 5}, At{-8, -3}, At{40, 0}, At{0, 10}}) {
        at = each;
        const std::string wrong = run([](void** arguments, SimtThread* thread) {
            make_barriers(thread);
            if (thread->thread == 0) {
                expect(thread);
                copy(arguments, thread, at);
            }
            wait(thread);
            for (std::size_t k = static_cast<std::size_t>(thread->thread); k < results.size();
                 k += kThreads)
                results[k] = read(thread, k / 32, k % 32);
        });
        CHECK(wrong == "");
        for (std::int32_t row = 0; row < 8; ++row) {
            for (std::int32_t column = 0; column < 32; ++column) {
                const std::int32_t y = at.row + row, x = at.column + column;
                const bool inside = y >= 0 && y < 10 && x >= 0 && x < 40;
                const auto found = results[static_cast<std::size_t>(row * 32 + column)];
                CHECK(found == static_cast<float>(inside ? y * 40 + x + 1 : 0));
            }
        }
    }
}

TEST_CASE("who released a place finds another box there") {
    const std::string wrong = run([](void** arguments, SimtThread* thread) {
        make_barriers(thread);
        for (std::uint32_t step = 0; step < 5; ++step) {
            if (thread->thread == 0) {
                wait(thread, (step & 1) ^ 1, kEmpty);
                expect(thread);
                copy(arguments, thread, {static_cast<std::int32_t>(step), 0});
            }
            wait(thread, step & 1);
            const float value = read(thread, 0, 0);
            if (thread->thread == 40) results[step] = value;
            (void)netc_simt_shuffle_xor(thread, 0, 1);  // the warp has read
            if (thread->thread % 32 == 0) arrive(thread);
        }
    });
    CHECK(wrong == "");
    for (std::size_t step = 0; step < 5; ++step)
        CHECK(results[step] == static_cast<float>(step + 1));
}

TEST_CASE("what is wrong with boxes is found") {
    SECTION("a read that did not wait") {
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread == 0) {
                          expect(thread);
                          copy(arguments, thread);
                      }
                      if (thread->thread == 0) wait(thread);
                      if (thread->thread == 32) (void)read(thread, 0, 0);
                  }),
                  "is of a box whose copy thread 32 did not wait for"));
    }
    SECTION("a wait for the phase before") {
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread != 0) return;
                      expect(thread);
                      copy(arguments, thread);
                      wait(thread, 1);
                      (void)read(thread, 0, 0);
                  }),
                  "did not wait for"));
    }
    SECTION("other bytes than expected") {
        CHECK(
            has(run([](void** arguments, SimtThread* thread) {
                    make_barriers(thread);
                    if (thread->thread == 0) expect(thread, 2 * kBoxBytes);
                    if (thread->thread == 0) copy(arguments, thread);
                    wait(thread);
                }),
                "waits for ever: phase 0 of the barrier at 8192 lacks 0 arrivals and 1024 bytes"));
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread == 0) expect(thread, kBoxBytes / 2);
                      if (thread->thread == 0) copy(arguments, thread);
                      wait(thread);
                  }),
                  "lacks 0 arrivals and -512 bytes"));
    }
    SECTION("nobody arrives") {
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread == 0) copy(arguments, thread);
                      wait(thread);
                  }),
                  "lacks 1 arrivals and -1024 bytes"));
    }
    SECTION("one arrives too often") {
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread % 32 != 0) return;
                      expect(thread);
                      copy(arguments, thread, {}, thread->thread == 0 ? 0 : 2048);
                  }),
                  "one arrival more at the barrier at 8192"));
    }
    SECTION("a place that a warp has not released") {
        // One arrival is enough for the barrier, but the other warp reads too.
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread, true, true, 1);
                      if (thread->thread == 0) expect(thread);
                      if (thread->thread == 0) copy(arguments, thread);
                      wait(thread);
                      (void)read(thread, 0, 0);
                      if (thread->thread == 0) {
                          arrive(thread);
                          wait(thread, 0, kEmpty);
                          expect(thread);
                          copy(arguments, thread);
                          wait(thread, 1);
                      }
                  }),
                  "which warp 1 has not released"));
    }
    SECTION("a place where another copy goes") {
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread != 0) return;
                      expect(thread, 2 * kBoxBytes);
                      copy(arguments, thread);
                      copy(arguments, thread, {}, 128);
                  }),
                  "where another's copy was not waited for"));
    }
    SECTION("a barrier that is none, or not yet") {
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread == 0) copy(arguments, thread, {}, 0, 4096);
                  }),
                  "there is no barrier at 4096"));
        CHECK(has(run([](void**, SimtThread* thread) {
                      make_barriers(thread, true, false);
                      if (thread->thread == 32) wait(thread);
                  }),
                  "is used by who did not wait for its making"));
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread, false);
                      if (thread->thread == 0) copy(arguments, thread);
                  }),
                  "which was made without a fence behind it"));
        CHECK(has(run([](void**, SimtThread* thread) {
                      if (thread->thread > 0) return;
                      make_barriers(thread, true, false);
                      make_barriers(thread, true, false);
                  }),
                  "the barrier at 8192 is made twice"));
        CHECK(has(run([](void**, SimtThread* thread) {
                      netc_simt_init_phases(thread, shared(thread, 4100), 1);
                  }),
                  "outside of shared memory or not aligned"));
    }
    SECTION("places that are not aligned, or not there") {
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread == 0) copy(arguments, thread, {}, 64);
                  }),
                  "a box at 64, which is not aligned to 128"));
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread == 0) copy(arguments, thread, {}, kBytes - 512);
                  }),
                  "bytes of shared memory"));
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread == 0) copy(arguments, thread, {}, kFull - 512);
                  }),
                  "a box over the barrier at 8192"));
    }
    SECTION("a barrier as memory") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread == 0) netc_simt_read(thread, shared(thread, kFull), 4, 4);
                  }),
                  "belongs to a barrier"));
    }
    SECTION("a place that was written without a fence") {
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      if (thread->thread == 5) netc_simt_write(thread, shared(thread, 16), 4, 4);
                      make_barriers(thread);
                      if (thread->thread == 0) copy(arguments, thread);
                  }),
                  "which thread 5 wrote without a fence behind it"));
    }
    SECTION("what is no tensor map, or of another rank") {
        CHECK(has(run([](void**, SimtThread* thread) {
                      alignas(64) std::byte zeros[128]{};
                      void* none[] = {zeros};
                      make_barriers(thread);
                      if (thread->thread == 0) copy(none, thread);
                  }),
                  "without a tensor map"));
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      const std::int32_t coordinates[] = {0, 0, 0};
                      make_barriers(thread);
                      if (thread->thread == 0)
                          netc_simt_copy_box(thread, shared(thread, 0), arguments[0], coordinates,
                                             3, shared(thread, kFull));
                  }),
                  "3 coordinates of a tensor of 2 dimensions"));
    }
    SECTION("the end of the block") {
        CHECK(has(run([](void** arguments, SimtThread* thread) {
                      make_barriers(thread);
                      if (thread->thread == 0) expect(thread);
                      if (thread->thread == 0) copy(arguments, thread);
                  }),
                  "the block ends while copies to its shared memory are under way"));
    }
}

TEST_CASE("what no tensor map can say") {
    CHECK(wrong_with(request()) == "");
    const auto wrong = [](const std::function<void(TensorMapRequest&)>& change) {
        TensorMapRequest each = request();
        change(each);
        return wrong_with(each);
    };
    CHECK(wrong([](auto& r) { r.address += 8; }) == "an address that is not aligned to 16");
    CHECK(wrong([](auto& r) { r.rank = 6; }) == "dimensions: 6");
    CHECK(wrong([](auto& r) { r.extents[1] = 0; }) == "an extent of 0");
    CHECK(wrong([](auto& r) { r.strides[1] = 168; }) == "a stride of so many bytes: 168");
    CHECK(wrong([](auto& r) { r.box[1] = 257; }) == "a box of 257");
    CHECK(wrong([](auto& r) { r.box[0] = 3; }) == "rows that are no whole chunks");
    CHECK(wrong([](auto& r) { r.swizzle = TensorMapRequest::kSwizzle64; }) ==
          "rows that are longer than the swizzle's: 128");
    CHECK(wrong([](auto& r) {
              r.rank = 3;
              r.extents[2] = 2;
              r.box[2] = 1;
              r.strides[2] = 240;
          }) == "a stride that is no multiple of the one before: 240");
}
