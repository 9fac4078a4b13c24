// Buffers of a kernel in its own types, filled at random, and their logical elements.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "backends/interpreter.h"
#include "ir/kernel.h"

namespace netc::test {

// Visits the offset (in elements) of every logical element of the param.
inline void for_each_element(const Param& param, std::int64_t batch,
                             const std::function<void(std::size_t)>& visit) {
    const std::size_t rank = param.dims.size();
    std::vector<std::int64_t> stride(rank, 0);
    std::int64_t step = param.layout.lanes ? kLanes : 1;
    for (std::size_t i = rank; i-- > 0;) {
        const auto d = static_cast<std::size_t>(param.layout.order[i]);
        if (rank >= 2 && i == (param.layout.lanes ? 1 : rank - 2))
            step += param.layout.extra * (param.layout.lanes ? kLanes : 1);
        stride[d] = step;
        step *= param.dims[d].at(batch);
    }
    std::vector<std::int64_t> index(rank, 0);
    while (true) {
        std::int64_t offset = 0;
        for (std::size_t d = 0; d < rank; ++d) {
            if (param.layout.lanes && d == 0) {
                offset += index[0] / kLanes * stride[0] + index[0] % kLanes;
            } else {
                offset += index[d] * stride[d];
            }
        }
        visit(static_cast<std::size_t>(offset));
        std::size_t d = rank;
        while (d-- > 0) {
            if (++index[d] < param.dims[d].at(batch)) break;
            index[d] = 0;
        }
        if (d == static_cast<std::size_t>(-1)) return;
    }
}

class KernelMemory {
public:
    // Arrays begin `behind` bytes after a multiple of 64.
    KernelMemory(const Kernel& kernel, std::int64_t batch, unsigned seed, int integer_limit = 4,
                 std::size_t behind = 0)
        : kernel_(kernel), batch_(batch) {
        std::mt19937 random(seed);
        std::uniform_real_distribution<float> uniform(-1, 1);
        for (const Param& param : kernel.params) {
            const auto count = static_cast<std::size_t>(element_count(param, batch));
            bytes_.emplace_back(count * static_cast<std::size_t>(size_of(param.dtype)) + 128);
            const bool out = param.direction == Direction::out;
            for (std::size_t i = 0; i < count; ++i) {
                const float number = out ? std::nanf("") : uniform(random);
                const auto integer = out ? -7
                                         : static_cast<std::int64_t>(
                                               random() % static_cast<unsigned>(integer_limit));
                put(bytes_.size() - 1, i, number, integer);
            }
        }
        for (auto& buffer : bytes_) {
            const auto at = reinterpret_cast<std::uintptr_t>(buffer.data());
            pointers_.push_back(buffer.data() + (64 - at % 64) % 64 + behind);
            std::memmove(pointers_.back(), buffer.data(), buffer.size() - 128);
        }
    }
    KernelMemory(const KernelMemory&) = delete;

    const std::vector<std::byte*>& pointers() const { return pointers_; }

    // The wide form, for the interpreter.
    std::vector<WideBuffer> wide() const {
        std::vector<WideBuffer> buffers(kernel_.params.size());
        for (std::size_t k = 0; k < buffers.size(); ++k) {
            const Param& param = kernel_.params[k];
            const auto count = static_cast<std::size_t>(element_count(param, batch_));
            for (std::size_t i = 0; i < count; ++i) {
                if (is_float(param.dtype)) {
                    buffers[k].numbers.push_back(number(k, i));
                } else {
                    buffers[k].integers.push_back(integer(k, i));
                }
            }
        }
        return buffers;
    }

    double number(std::size_t k, std::size_t i) const {
        if (kernel_.params[k].dtype == DType::f64) return get<double>(k, i);
        if (kernel_.params[k].dtype == DType::bf16)
            return std::bit_cast<float>(std::uint32_t{get<std::uint16_t>(k, i)} << 16);
        return get<float>(k, i);
    }
    std::int64_t integer(std::size_t k, std::size_t i) const {
        switch (size_of(kernel_.params[k].dtype)) {
            case 8: return get<std::int64_t>(k, i);
            case 4: return get<std::int32_t>(k, i);
            case 2: return get<std::int16_t>(k, i);
            default: return get<std::uint8_t>(k, i);
        }
    }

    // The first logical element of any param whose bits differ, as text; empty where none does.
    std::string difference(const KernelMemory& other) const {
        std::string found;
        for (std::size_t k = 0; k < kernel_.params.size(); ++k) {
            const auto size = static_cast<std::size_t>(size_of(kernel_.params[k].dtype));
            for_each_element(kernel_.params[k], batch_, [&](std::size_t i) {
                if (!found.empty()) return;
                if (std::memcmp(pointers_[k] + i * size, other.pointers_[k] + i * size, size) == 0)
                    return;
                const bool floating = is_float(kernel_.params[k].dtype);
                found = "param " + std::to_string(k) + " element " + std::to_string(i) + ": " +
                        (floating ? std::to_string(number(k, i)) + " against " +
                                        std::to_string(other.number(k, i))
                                  : std::to_string(integer(k, i)) + " against " +
                                        std::to_string(other.integer(k, i)));
            });
        }
        return found;
    }

    std::string difference(const std::vector<WideBuffer>& reference, double tolerance) const {
        std::string found;
        for (std::size_t k = 0; k < kernel_.params.size(); ++k) {
            for_each_element(kernel_.params[k], batch_, [&](std::size_t i) {
                if (!found.empty()) return;
                const std::string where =
                    "param " + std::to_string(k) + " element " + std::to_string(i) + ": ";
                if (is_float(kernel_.params[k].dtype)) {
                    const double a = number(k, i);
                    const double b = reference[k].numbers[i];
                    if (std::isnan(a) && std::isnan(b)) return;
                    if (a == b || std::abs(a - b) <= tolerance * (1 + std::abs(b))) return;
                    found = where + std::to_string(a) + " against " + std::to_string(b);
                } else if (integer(k, i) != reference[k].integers[i]) {
                    found = where + std::to_string(integer(k, i)) + " against " +
                            std::to_string(reference[k].integers[i]);
                }
            });
        }
        return found;
    }

private:
    template <class T>
    T get(std::size_t k, std::size_t i) const {
        T value;
        std::memcpy(&value, pointers_[k] + i * sizeof(T), sizeof(T));
        return value;
    }
    template <class T>
    void set(std::size_t k, std::size_t i, T value) {
        std::memcpy(bytes_[k].data() + i * sizeof(T), &value, sizeof(T));
    }
    void put(std::size_t k, std::size_t i, float number, std::int64_t integer) {
        switch (kernel_.params[k].dtype) {
            case DType::f64: return set<double>(k, i, static_cast<double>(number));
            case DType::f32: return set<float>(k, i, number);
            case DType::i64: return set<std::int64_t>(k, i, integer);
            case DType::i32: return set<std::int32_t>(k, i, static_cast<std::int32_t>(integer));
            case DType::bf16:
                return set<std::uint16_t>(
                    k, i, static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(number) >> 16));
            case DType::f16:
            case DType::i16: return set<std::int16_t>(k, i, static_cast<std::int16_t>(integer));
            case DType::i8:
            case DType::u8: return set<std::uint8_t>(k, i, static_cast<std::uint8_t>(integer));
            case DType::b1: return set<std::uint8_t>(k, i, static_cast<std::uint8_t>(integer & 1));
        }
    }

    const Kernel& kernel_;
    std::int64_t batch_;
    std::vector<std::vector<std::byte>> bytes_;
    std::vector<std::byte*> pointers_;
};

}  // namespace netc::test
