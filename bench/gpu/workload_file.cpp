#include "bench/gpu/workload_file.h"

namespace netc::gpu_bench {

std::vector<std::vector<std::byte>> inputs_of(const Entry& entry, std::int64_t batch,
                                              std::uint32_t seed) {
    constexpr std::size_t kBehind = 256;  // loads of vectors may go on behind the last element
    std::vector<std::vector<std::byte>> inputs;
    for (std::uint32_t i = 0; i < entry.inputs.size(); ++i) {
        const EntryArgument& input = entry.inputs[i];
        std::int64_t count = 1;
        for (const Extent& extent : input.dims) count *= extent.at(batch);
        const std::int64_t limit = entry.least_limit(i).value_or(2);
        const auto size = static_cast<std::size_t>(size_of(input.dtype));
        std::vector<std::byte>& bytes = inputs.emplace_back();
        bytes.resize(static_cast<std::size_t>(count) * size + kBehind);
        std::uint64_t state = (std::uint64_t{seed} << 8 | i) * 0x9e3779b97f4a7c15u + 1;
        for (std::size_t k = 0; k < static_cast<std::size_t>(count); ++k) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            const auto draw = static_cast<std::int64_t>(state >> 40);  // 24 bits
            const auto number = static_cast<float>(draw) / static_cast<float>(1 << 23) - 1;
            const auto wide = static_cast<double>(number);
            const std::int64_t integer = draw % limit;
            const void* from = input.dtype == DType::f32   ? static_cast<const void*>(&number)
                               : input.dtype == DType::f64 ? static_cast<const void*>(&wide)
                                                           : &integer;
            std::memcpy(bytes.data() + k * size, from, size);
        }
    }
    return inputs;
}

}  // namespace netc::gpu_bench
