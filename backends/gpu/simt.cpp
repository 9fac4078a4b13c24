// See simt.h.
//
// Fibers are begun by swapcontext and then changed by longjmp: the former asks the system for the signal mask each time,
// which took a third of the time of the tests. What checks that longjmp goes up one stack has to be off for that.
#undef _FORTIFY_SOURCE
#include "backends/gpu/simt.h"

#include <ucontext.h>

#include "backends/gpu/simt_block.h"

namespace netc {

void SimtBlock::wait(Fiber& fiber, State state) {
    fiber.state = state;
    if (_setjmp(fiber.place) == 0) _longjmp(scheduler_, 1);
}

// A fiber runs the same thread of one block after the other.
void SimtBlock::enter(unsigned low, unsigned high) {
    const auto address =
        (static_cast<std::uintptr_t>(high) << 32) | static_cast<std::uintptr_t>(low);
    auto* fiber = reinterpret_cast<Fiber*>(address);
    SimtBlock& block = *fiber->thread.owner;
    for (;;) {
        block.function_(block.arguments_, &fiber->thread);
        block.wait(*fiber, State::done);
    }
}

// Until it waits.
void SimtBlock::resume(Fiber& fiber) {
    current_ = &fiber;
    if (_setjmp(scheduler_) != 0) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    ucontext_t context, here;
    getcontext(&context);
    context.uc_stack.ss_sp = stacks_[static_cast<std::size_t>(fiber.thread.thread)];
    context.uc_stack.ss_size = kStack;
    context.uc_link = nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(&fiber);
    makecontext(&context, reinterpret_cast<void (*)()>(enter), 2, static_cast<unsigned>(address),
                static_cast<unsigned>(address >> 32));
    swapcontext(&here, &context);
}

std::string run_simt_grid(SimtFunction function, void** arguments, std::int64_t blocks, int threads,
                          std::int64_t shared_bytes) {
    SimtBlock block(function, arguments, threads, shared_bytes);
    for (std::int64_t number = 0; number < blocks; ++number) {
        if (std::string wrong = block.run(number); !wrong.empty()) return wrong;
    }
    return {};
}

}  // namespace netc
