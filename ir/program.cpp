// Looking up entries of a program, and what loops do to buffers and calls.
#include "ir/program.h"

namespace netc {

const Entry* Program::find(std::string_view entry) const {
    for (const Entry& each : entries) {
        if (each.name == entry) return &each;
    }
    return nullptr;
}

std::int64_t BufferRef::offset_at(std::int64_t batch,
                                  const std::vector<std::int64_t>& steps) const {
    std::int64_t bytes = offset.at(batch);
    for (const Stride& stride : strides) {
        bytes += stride.count(steps[stride.loop]) * stride.bytes.at(batch);
    }
    return bytes;
}

Status check_batch(const Entry& entry, std::int64_t batch) {
    for (const Entry::EqualExtents& each : entry.equal_extents) {
        const std::int64_t found = each.found.at(batch), wanted = each.wanted.at(batch);
        if (found == wanted) continue;
        return Error{kExitRun, "`" + each.text + "` does not hold for a batch of " +
                                   std::to_string(batch) + ": " + std::to_string(found) +
                                   " is not " + std::to_string(wanted)};
    }
    return {};
}

Error index_out_of_range(std::string_view entry) {
    return {kExitRun, "an index in the data is out of range (in " + std::string(entry) + ")"};
}

std::int64_t times_called(const Entry& entry, std::size_t call) {
    std::int64_t times = 1;
    for (const Loop& loop : entry.loops) {
        if (loop.begin <= call && call < loop.end) times *= loop.steps;
    }
    return times;
}

}  // namespace netc
