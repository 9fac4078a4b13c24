// See the header.
#include "backends/gpu/simt_shared.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace netc {

SimtShared::SimtShared(std::int64_t bytes, std::size_t threads)
    : touches_(static_cast<std::size_t>(bytes)), threads_(threads),
      boxes_(static_cast<std::size_t>(bytes), threads) {
    // As netc_shared of nvptx_ops.cpp.
    constexpr std::size_t kAlign = 1024;
    memory_.resize(touches_.size() + kAlign);
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    start_ = memory_.data() + (kAlign - address % kAlign) % kAlign;
}

void SimtShared::begin_block() {
    // What shared memory holds at the start is anything: here, bits of a NaN.
    std::memset(start_, 0xff, touches_.size());
    std::ranges::fill(touches_, Touch{});
    std::ranges::fill(threads_, Thread{});
    barriers_ = 0;
    boxes_.begin_block();
}

std::string SimtShared::check(std::int32_t thread, std::int64_t from, std::uint32_t bytes,
                              std::uint32_t alignment, bool writes) const {
    if (from < 0 || from + bytes > static_cast<std::int64_t>(touches_.size()))
        return fmt::format("{} bytes at {} of {} bytes of shared memory", bytes, from,
                           touches_.size());
    if (from % alignment != 0)
        return fmt::format("shared memory at {} is not aligned to {}", from, alignment);
    for (std::int64_t k = from; k < from + bytes; ++k) {
        const Touch& byte = touches_[static_cast<std::size_t>(k)];
        const auto other = [&](std::int32_t who, std::uint32_t when) {
            return who != kNobody && who != thread && when == barriers_;
        };
        if (byte.copier != kNobody)
            return fmt::format("byte {} of shared memory is where a copy of thread {} goes, which "
                               "was not waited for",
                               k, byte.copier);
        if (writes && byte.products > 0)
            return fmt::format("a product that was not waited for reads byte {} of shared memory",
                               k);
        if (other(byte.writer, byte.written) || (writes && other(byte.reader, byte.read)))
            return fmt::format("a race on byte {} of shared memory with thread {}", k,
                               other(byte.writer, byte.written) ? byte.writer : byte.reader);
    }
    return {};
}

void SimtShared::note_write(std::int32_t number, std::size_t from, std::uint32_t bytes) {
    for (std::size_t k = from; k < from + bytes; ++k) {
        touches_[k].writer = number;
        touches_[k].written = barriers_;
        touches_[k].fenced = false;
    }
    thread(number).unfenced.emplace_back(from, bytes);
}

std::string SimtShared::touch(std::int32_t number, const void* place, std::uint32_t bytes,
                              std::uint32_t alignment, bool writes) {
    const std::int64_t from = place_of(place);
    if (std::string wrong = check(number, from, bytes, alignment, writes); !wrong.empty())
        return wrong;
    if (std::string wrong = boxes_.touch(number, from, bytes); !wrong.empty()) return wrong;
    const auto first = static_cast<std::size_t>(from);
    if (writes) {
        note_write(number, first, bytes);
        return {};
    }
    for (std::size_t k = first; k < first + bytes; ++k) {
        if (boxes_.is_box(k / kChunk)) {
            boxes_.note_read(k / kChunk, static_cast<std::size_t>(number) / 32);
            continue;
        }
        Touch& byte = touches_[k];
        const bool also = byte.reader != kNobody && byte.reader != number && byte.read == barriers_;
        byte.reader = also ? kMany : number;
        byte.read = barriers_;
    }
    return {};
}

std::string SimtShared::begin_copy(std::int32_t number, void* place, const void* source,
                                   std::uint32_t bytes, std::uint32_t filled) {
    const std::int64_t from = place_of(place);
    if (std::string wrong = check(number, from, bytes, bytes, true); !wrong.empty()) return wrong;
    if (reinterpret_cast<std::uintptr_t>(source) % bytes != 0)
        return fmt::format("a copy of {} bytes from an address that is not aligned to them", bytes);
    Copy copy{static_cast<std::size_t>(from), bytes, {}};
    if (filled > 0) std::memcpy(copy.data.data(), source, filled);
    for (std::size_t k = copy.place; k < copy.place + bytes; ++k) touches_[k].copier = number;
    std::memset(place, 0xff, bytes);
    thread(number).open.push_back(copy);
    return {};
}

void SimtShared::commit_copies(std::int32_t number) {
    Thread& own = thread(number);
    own.groups.push_back(std::move(own.open));
    own.open.clear();
}

void SimtShared::wait_for_copies(std::int32_t number, std::uint32_t pending) {
    Thread& own = thread(number);
    while (own.groups.size() > pending) {
        for (const Copy& copy : own.groups.front()) {
            for (std::size_t k = copy.place; k < copy.place + copy.bytes; ++k)
                touches_[k].copier = kNobody;
            std::memcpy(start_ + copy.place, copy.data.data(), copy.bytes);
            note_write(number, copy.place, copy.bytes);
        }
        own.groups.erase(own.groups.begin());
    }
}

void SimtShared::fence(std::int32_t number) {
    for (const auto& [from, bytes] : thread(number).unfenced) {
        for (std::size_t k = from; k < from + bytes; ++k)
            if (touches_[k].writer == number) touches_[k].fenced = true;
    }
    thread(number).unfenced.clear();
    boxes_.fence(number);
}

std::string SimtShared::begin_box(std::int32_t number, const void* place,
                                  const TensorMapRequest& map,
                                  const std::vector<std::int32_t>& coordinates,
                                  const void* barrier) {
    const std::int64_t from = place_of(place), bytes = map.box_bytes();
    if (std::string wrong = check(number, from, static_cast<std::uint32_t>(bytes), 1, true);
        !wrong.empty())
        return wrong;
    if (std::string wrong = boxes_.begin_copy(number, from, map, coordinates, place_of(barrier));
        !wrong.empty())
        return wrong;
    for (std::int64_t k = from; k < from + bytes; ++k) {
        Touch& byte = touches_[static_cast<std::size_t>(k)];
        if (byte.writer != kNobody && !byte.fenced)
            return fmt::format("a box over byte {} of shared memory, which thread {} wrote without "
                               "a fence behind it",
                               k, byte.writer);
        byte.writer = kNobody;
    }
    std::memset(start_ + from, 0xff, static_cast<std::size_t>(bytes));
    return {};
}

std::string SimtShared::begin_product(std::int32_t first, const Chunks& chunks) {
    constexpr std::int32_t kWarp = 32, kThreads = 128;
    for (const std::uint32_t chunk : chunks) {
        for (std::int32_t thread = first; boxes_.is_box(chunk) && thread < first + kThreads;
             thread += kWarp) {
            if (std::string wrong = boxes_.touch(thread, chunk * kChunk, kChunk); !wrong.empty())
                return wrong;
        }
        if (std::string wrong = check(kMany, chunk * kChunk, kChunk, kChunk, false); !wrong.empty())
            return wrong;
        for (std::size_t k = chunk * kChunk; k < (chunk + 1) * kChunk; ++k) {
            if (touches_[k].writer != kNobody && !touches_[k].fenced)
                return fmt::format("a product reads byte {} of shared memory, which thread {} "
                                   "wrote without a fence behind it",
                                   k, touches_[k].writer);
            ++touches_[k].products;
        }
    }
    return {};
}

void SimtShared::end_product(std::int32_t first, const Chunks& chunks) {
    constexpr std::size_t kWarps = 4;
    for (const std::uint32_t chunk : chunks) {
        const bool is_box = boxes_.is_box(chunk);
        for (std::size_t warp = 0; is_box && warp < kWarps; ++warp)
            boxes_.note_read(chunk, static_cast<std::size_t>(first) / 32 + warp);
        for (std::size_t k = chunk * kChunk; k < (chunk + 1) * kChunk; ++k) {
            --touches_[k].products;
            if (is_box) continue;
            touches_[k].reader = kMany;
            touches_[k].read = barriers_;
        }
    }
}

}  // namespace netc
