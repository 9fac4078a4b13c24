// Index arithmetic of emitted loops: sums of loop counters with constant factors, evaluated as far as
// possible while emitting, and what remains emitted once, in the outermost loop where it is known.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "backends/llvm.h"
#include "ir/index.h"

namespace netc {

inline constexpr std::int64_t kUnbounded = std::int64_t{1} << 60;

struct LinearTerm {
    llvm::Value* value = nullptr;
    std::int64_t factor = 1;
};

// sum of factor * value + constant + lane * (0 .. 15) + vector. Values are i64.
struct Linear {
    llvm::SmallVector<LinearTerm, 4> terms;  // ascending by the emitter's number of the value
    std::int64_t constant = 0;
    std::int64_t lane = 0;
    llvm::Value* vector = nullptr;  // <16 x i64>, where lanes do not differ by a constant

    bool is_constant() const { return terms.empty() && lane == 0 && vector == nullptr; }
    bool is_scalar() const { return lane == 0 && vector == nullptr; }
};

class Arithmetic {
public:
    explicit Arithmetic(llvm::IRBuilder<>& builder) : builder_(builder) {}

    // Code that dominates everything until the matching leave. A loop's scope has the end of the block in
    // front of it, so that what does not change inside is emitted there.
    void enter(llvm::Instruction* preheader_end = nullptr);
    void leave();

    // A value that indices may be made of, known from here on, with its least and greatest value.
    Linear make_value(llvm::Value* value, Range range);
    void add_known(llvm::Value* value, Range range);

    Linear constant(std::int64_t value) const;
    Linear add(const Linear& a, const Linear& b);
    Linear scale(const Linear& a, std::int64_t factor);
    Linear multiply(const Linear& a, llvm::Value* factor);  // factor: a known value
    Linear floor_div(const Linear& a, std::int64_t divisor);
    Linear floor_mod(const Linear& a, std::int64_t divisor);

    // a < limit for a scalar a, unsigned; a and b. The same value for the same question.
    llvm::Value* below(const Linear& a, llvm::Value* limit);
    llvm::Value* both(llvm::Value* a, llvm::Value* b);
    // Whether a mask holds for a lane.
    llvm::Value* lane_of(llvm::Value* mask, std::int64_t lane);

    Range range(const Linear& a) const;
    llvm::Value* scalar(const Linear& a);  // is_scalar()
    llvm::Value* vector(const Linear& a);  // <16 x i64>
    // base + bytes; lane and vector are left out.
    llvm::Value* address(llvm::Value* base, const Linear& bytes);

private:
    static std::optional<Linear> place_in_block(const Linear& a, std::int64_t divisor);

    struct Known {
        std::uint32_t number = 0;
        std::uint32_t depth = 0;
        Range range;
    };
    struct Scope {
        llvm::Instruction* preheader_end = nullptr;
        std::uint32_t depth = 0;
        std::map<std::vector<std::uint64_t>, llvm::Value*> made;
    };
    using Key = std::vector<std::uint64_t>;

    std::uint32_t depth_of(llvm::Value* value) const;
    Linear divided_value(const Linear& rest, std::int64_t divisor, bool modulo);
    template <class Make>
    llvm::Value* once(const Key& key, std::uint32_t depth, Make make);
    std::uint64_t number(llvm::Value* value);

    llvm::IRBuilder<>& builder_;
    std::unordered_map<llvm::Value*, Known> known_;
    std::vector<Scope> scopes_{Scope{}};
};

}  // namespace netc
