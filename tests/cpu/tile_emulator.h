// The tiles of AMX on a processor that has none: the instructions trap, a handler decodes them and does what the
// manual says ("Intel Architecture Instruction Set Extensions", TDPBF16PS and its neighbours). So the code that is
// tested is the code that such a processor runs. Where the processor has them, nothing traps.
#pragma once

#include <csignal>
#include <cstdint>
#include <cstring>

#include <ucontext.h>

namespace netc::test {

inline constexpr const char* kTileFeatures = "+amx-tile,+amx-bf16,+amx-int8";

class TileEmulator {
public:
    TileEmulator() {
        struct sigaction action = {};
        action.sa_sigaction = on_illegal_instruction;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGILL, &action, &before_);
    }
    ~TileEmulator() { sigaction(SIGILL, &before_, nullptr); }
    TileEmulator(const TileEmulator&) = delete;

    // Products of tiles since the start of the process; stays 0 on a processor that does them itself.
    static std::int64_t products() { return count(); }

private:
    struct Tile {
        std::int64_t rows = 0, bytes = 0;
        std::uint8_t data[16][64];
    };
    struct Tiles {
        bool configured = false;
        Tile tile[8];
    };
    static Tiles& tiles() {
        static thread_local Tiles mine;
        return mine;
    }
    static std::int64_t& count() {
        static std::int64_t products = 0;
        return products;
    }

    // An operand in memory: ModRM, SIB, displacement.
    struct Place {
        std::uint8_t* base = nullptr;
        std::int64_t index = 0;  // register times scale: the stride of rows
        int length = 0;          // of the encoding
    };
    static std::int64_t value(const ucontext_t* context, int number) {
        constexpr int kOrder[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                  REG_R12, REG_R13, REG_R14, REG_R15};
        return context->uc_mcontext.gregs[kOrder[number]];
    }
    static Place place(const ucontext_t* context, const std::uint8_t* code, bool high_base,
                       bool high_index, const std::uint8_t* next) {
        const int mode = code[0] >> 6, low = code[0] & 7;
        Place found;
        std::int64_t address = 0;
        int at = 1;
        bool no_base = false;
        if (low == 4) {
            const std::uint8_t sib = code[at++];
            const int index = (sib >> 3 & 7) + (high_index ? 8 : 0);
            const int base = (sib & 7) + (high_base ? 8 : 0);
            if (index != 4) found.index = value(context, index) << (sib >> 6);
            no_base = mode == 0 && (base & 7) == 5;
            if (!no_base) address = value(context, base);
        } else if (mode == 0 && low == 5) {
            std::int32_t displacement = 0;
            std::memcpy(&displacement, code + at, 4);
            found.length = at + 4;
            found.base = const_cast<std::uint8_t*>(next) + 4 + displacement;
            return found;
        } else {
            address = value(context, low + (high_base ? 8 : 0));
        }
        if (mode == 1) {
            address += static_cast<std::int8_t>(code[at]);
            at += 1;
        } else if (mode == 2 || no_base) {
            std::int32_t displacement = 0;
            std::memcpy(&displacement, code + at, 4);
            address += displacement;
            at += 4;
        }
        found.base = reinterpret_cast<std::uint8_t*>(address);
        found.length = at;
        return found;
    }

    // Subnormals count as zero and become zero, whatever the thread has set.
    class FlushSubnormals {
    public:
        FlushSubnormals() : before_(__builtin_ia32_stmxcsr()) {
            __builtin_ia32_ldmxcsr(0x9FC0);  // all exceptions masked, to nearest
        }
        ~FlushSubnormals() { __builtin_ia32_ldmxcsr(before_); }

    private:
        unsigned before_;
    };

#ifdef __clang__
    __attribute__((target("avx2,fma")))
#else
    __attribute__((target("avx2,fma"), optimize("O3")))
#endif
    static void
    products_of_bf16(Tile& sums, const Tile& a, const Tile& b) {
        const FlushSubnormals flush;
        const auto widen = [](const Tile& tile, std::int64_t row, float* to) {
            for (std::int64_t i = 0; i < 32; ++i) {
                std::uint16_t half = 0;
                std::memcpy(&half, tile.data[row] + 2 * i, 2);
                const std::uint32_t bits = std::uint32_t{half} << 16;
                // Of each word the first and the second apart.
                std::memcpy(to + i % 2 * 16 + i / 2, &bits, 4);
            }
        };
        float right[16][32];
        for (std::int64_t k = 0; k < b.rows; ++k) widen(b, k, right[k]);
        for (std::int64_t m = 0; m < sums.rows; ++m) {
            float left[32], even[16] = {}, odd[16] = {}, sum[16];
            widen(a, m, left);
            for (std::int64_t k = 0; k < b.rows; ++k) {
                for (std::int64_t n = 0; n < 16; ++n)
                    even[n] = __builtin_fmaf(left[k], right[k][n], even[n]);
                for (std::int64_t n = 0; n < 16; ++n)
                    odd[n] = __builtin_fmaf(left[16 + k], right[k][16 + n], odd[n]);
            }
            std::memcpy(sum, sums.data[m], 64);
            for (std::int64_t n = 0; n < 16; ++n) sum[n] += even[n] + odd[n];
            std::memcpy(sums.data[m], sum, 64);
        }
    }
    template <class A, class B>
    static void products_of_bytes(Tile& sums, const Tile& a, const Tile& b) {
        for (std::int64_t m = 0; m < sums.rows; ++m) {
            for (std::int64_t n = 0; n < sums.bytes / 4; ++n) {
                std::uint32_t sum = 0;
                std::memcpy(&sum, sums.data[m] + 4 * n, 4);
                for (std::int64_t k = 0; k < a.bytes; ++k) {
                    const int left = static_cast<A>(a.data[m][k]);
                    const int right = static_cast<B>(b.data[k / 4][4 * n + k % 4]);
                    sum += static_cast<std::uint32_t>(left * right);
                }
                std::memcpy(sums.data[m] + 4 * n, &sum, 4);
            }
        }
    }

    // False for what is no instruction of tiles.
    static bool run(ucontext_t* context) {
        auto& rip = context->uc_mcontext.gregs[REG_RIP];
        const auto* code = reinterpret_cast<const std::uint8_t*>(rip);
        // VEX of three bytes, map 0F38, W 0, 128 bits.
        if (code[0] != 0xC4 || (code[1] & 0x1F) != 2 || (code[2] & 0x84) != 0) return false;
        const int prefix = code[2] & 3;  // none, 66, F3, F2
        const std::uint8_t operation = code[3];
        const bool in_registers = code[4] >> 6 == 3;
        const auto reg = static_cast<std::size_t>(code[4] >> 3 & 7);
        const auto rm = static_cast<std::size_t>(code[4] & 7);
        const auto third = static_cast<std::size_t>(~code[2] >> 3 & 7);
        Tiles& all = tiles();
        int length = 5;
        if (operation == 0x49 && in_registers && prefix == 0) {
            all = {};
        } else if (operation == 0x49 && in_registers && prefix == 3) {
            if (!all.configured) return false;
            std::memset(all.tile[reg].data, 0, sizeof all.tile[reg].data);
        } else if (operation == 0x49 || operation == 0x4B) {
            const bool high_index = (code[1] & 0x40) == 0, high_base = (code[1] & 0x20) == 0;
            const Place memory = place(context, code + 4, high_base, high_index, code + 5);
            length = 4 + memory.length;
            if (operation == 0x49) {
                if (prefix != 0 || !configure(all, memory.base)) return false;
            } else {
                if (!all.configured || (code[4] & 7) != 4) return false;
                Tile& tile = all.tile[reg];
                if (prefix != 2) std::memset(tile.data, 0, sizeof tile.data);
                for (std::int64_t row = 0; row < tile.rows; ++row) {
                    std::uint8_t* there = memory.base + row * memory.index;
                    const auto bytes = static_cast<std::size_t>(tile.bytes);
                    if (prefix == 2)
                        std::memcpy(there, tile.data[row], bytes);
                    else
                        std::memcpy(tile.data[row], there, bytes);
                }
            }
        } else if ((operation == 0x5C || operation == 0x5E) && in_registers) {
            Tile& sums = all.tile[reg];
            const Tile &a = all.tile[rm], &b = all.tile[third];
            // What the processor refuses: shapes that do not belong together, a register twice.
            if (!all.configured || reg == rm || reg == third || rm == third ||
                sums.rows != a.rows || sums.bytes != b.bytes || a.bytes != 4 * b.rows) {
                return false;
            }
            __atomic_fetch_add(&count(), 1, __ATOMIC_RELAXED);
            if (operation == 0x5C) {
                if (prefix != 2 || sums.bytes != 64) return false;
                products_of_bf16(sums, a, b);
            } else if (prefix == 0) {
                products_of_bytes<std::uint8_t, std::uint8_t>(sums, a, b);
            } else if (prefix == 1) {
                products_of_bytes<std::uint8_t, std::int8_t>(sums, a, b);
            } else if (prefix == 2) {
                products_of_bytes<std::int8_t, std::uint8_t>(sums, a, b);
            } else {
                products_of_bytes<std::int8_t, std::int8_t>(sums, a, b);
            }
        } else {
            return false;
        }
        rip += length;
        return true;
    }
    static bool configure(Tiles& all, const std::uint8_t* shapes) {
        all = {};
        if (shapes[0] != 1) return false;
        for (std::size_t t = 0; t < 8; ++t) {
            all.tile[t].rows = shapes[48 + t];
            all.tile[t].bytes = shapes[16 + 2 * t] + 256 * shapes[17 + 2 * t];
            if (all.tile[t].rows > 16 || all.tile[t].bytes > 64 || all.tile[t].bytes % 4 != 0)
                return false;
        }
        all.configured = true;
        return true;
    }

    static void on_illegal_instruction(int signal, siginfo_t*, void* context) {
        if (run(static_cast<ucontext_t*>(context))) return;
        std::signal(signal, SIG_DFL);  // and again
    }

    struct sigaction before_ = {};
};

}  // namespace netc::test
