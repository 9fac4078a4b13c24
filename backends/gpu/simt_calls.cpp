// What emitted code calls of the emulator, see simt.h.
#include "backends/gpu/simt.h"

#include <cstring>

#include "backends/gpu/simt_block.h"
#include "backends/gpu/simt_tensor_map.h"

void netc_simt_barrier(netc::SimtThread* thread) {
    thread->owner->wait(netc::SimtBlock::fiber_of(thread), netc::State::at_barrier);
}

std::uint32_t netc_simt_shuffle_xor(netc::SimtThread* thread, std::uint32_t value,
                                    std::uint32_t mask) {
    netc::Fiber& fiber = netc::SimtBlock::fiber_of(thread);
    fiber.value = value;
    fiber.mask = mask;
    thread->owner->wait(fiber, netc::State::at_shuffle);
    return fiber.value;
}

void netc_simt_multiply(netc::SimtThread* thread, std::uint32_t is_bf16, std::uint32_t* words) {
    netc::Fiber& fiber = netc::SimtBlock::fiber_of(thread);
    fiber.mask = is_bf16;
    fiber.words = words;
    thread->owner->wait(fiber, netc::State::at_product);
}

void netc_simt_read(netc::SimtThread* thread, const void* place, std::uint32_t bytes,
                    std::uint32_t alignment) {
    netc::SimtBlock& block = *thread->owner;
    block.require(thread, block.shared().touch(thread->thread, place, bytes, alignment, false));
}

void netc_simt_write(netc::SimtThread* thread, const void* place, std::uint32_t bytes,
                     std::uint32_t alignment) {
    netc::SimtBlock& block = *thread->owner;
    block.require(thread, block.shared().touch(thread->thread, place, bytes, alignment, true));
}

void netc_simt_copy_async(netc::SimtThread* thread, void* place, const void* source,
                          std::uint32_t bytes, std::uint32_t filled) {
    netc::SimtBlock& block = *thread->owner;
    block.require(thread, block.shared().begin_copy(thread->thread, place, source, bytes, filled));
}

void netc_simt_commit_copies(netc::SimtThread* thread) {
    thread->owner->shared().commit_copies(thread->thread);
}

void netc_simt_wait_for_copies(netc::SimtThread* thread, std::uint32_t pending) {
    thread->owner->shared().wait_for_copies(thread->thread, pending);
}

void netc_simt_load_matrices(netc::SimtThread* thread, const void* row, std::uint32_t transposed,
                             std::uint32_t* words) {
    netc_simt_read(thread, row, 16, 16);
    netc::Fiber& fiber = netc::SimtBlock::fiber_of(thread);
    fiber.row = static_cast<const std::byte*>(row);
    fiber.mask = transposed;
    fiber.words = words;
    thread->owner->wait(fiber, netc::State::at_matrices);
}

void netc_simt_fence_shared(netc::SimtThread* thread) {
    thread->owner->shared().fence(thread->thread);
}

void netc_simt_multiply_warpgroup(netc::SimtThread* thread, std::uint32_t shape,
                                  const std::uint64_t* descriptors, std::uint32_t count,
                                  float* sums) {
    netc::Fiber& fiber = netc::SimtBlock::fiber_of(thread);
    fiber.mask = shape;
    fiber.descriptors.assign(descriptors, descriptors + count);
    fiber.registers = sums;
    thread->owner->wait(fiber, netc::State::at_group_product);
}

void netc_simt_wait_for_products(netc::SimtThread* thread, std::uint32_t pending, float* sums) {
    netc::Fiber& fiber = netc::SimtBlock::fiber_of(thread);
    fiber.mask = pending;
    fiber.registers = sums;
    thread->owner->wait(fiber, netc::State::at_group_wait);
}

void netc_simt_init_phases(netc::SimtThread* thread, void* barrier, std::uint32_t arrivals) {
    netc::SimtBlock& block = *thread->owner;
    block.require(thread, block.shared().boxes().init(thread->thread,
                                                      block.shared().place_of(barrier), arrivals));
}

void netc_simt_arrive(netc::SimtThread* thread, void* barrier, std::uint32_t expected) {
    netc::SimtBlock& block = *thread->owner;
    block.require(thread, block.shared().boxes().arrive(
                              thread->thread, block.shared().place_of(barrier), expected));
}

void netc_simt_wait_for_phase(netc::SimtThread* thread, void* barrier, std::uint32_t parity) {
    netc::SimtBlock& block = *thread->owner;
    netc::Fiber& fiber = netc::SimtBlock::fiber_of(thread);
    fiber.barrier = block.shared().place_of(barrier);
    fiber.mask = parity;
    block.require(thread, block.shared().boxes().check_barrier(thread->thread, fiber.barrier));
    block.wait(fiber, netc::State::at_phase);
}

void netc_simt_copy_box(netc::SimtThread* thread, void* place, const void* tensor_map,
                        const std::int32_t* coordinates, std::uint32_t count, void* barrier) {
    netc::SimtBlock& block = *thread->owner;
    const netc::TensorMapRequest* request = netc::request_in(tensor_map);
    block.require(thread,
                  request == nullptr ? "a copy of a box without a tensor map" : std::string());
    block.require(thread, block.shared().begin_box(thread->thread, place, *request,
                                                   {coordinates, coordinates + count}, barrier));
}
