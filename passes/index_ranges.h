// Which integer inputs are used as indices, and how large they may be: data are checked where they
// enter, before anything is written.
#pragma once

#include <array>
#include <vector>

#include <cstdint>
#include <optional>

#include "ir/program.h"

namespace netc {

// Looks at the calls of an entry, in their order. An input is an index where a kernel takes it for a position
// of a gather or scatter, or compares it with an index of its own (one-hot); also through a buffer that holds
// it but for one value, `where(y == ignore, 0, y)`, which then is the one that passes. Of a slice only its
// elements are meant. The smallest limit of each is kept; a value passes where every use lets it.
class IndexRanges {
public:
    explicit IndexRanges(std::vector<Entry::IndexRange>& ranges) : ranges_(ranges) {}
    void add(const Kernel& kernel, const std::vector<BufferRef>& arguments);

private:
    friend class RangeFinder;
    struct Labels {  // elements of an input, and which value of them does not count
        std::uint32_t input = 0;
        std::int64_t ignored = 0;
        std::array<Entry::IndexRange::Part, 2> parts = {};
        const Read* read = nullptr;  // of the kernel at hand,
        bool in_place = false;       // whose dims are those of the input
    };
    struct Copy {
        BufferRef place;
        Param param;
        Labels labels;  // in_place: an element lies where the input has it
    };
    void note(Labels labels, std::int64_t limit);
    void forget(const BufferRef& place, const Param& param);

    std::vector<Entry::IndexRange>& ranges_;
    std::vector<Copy> copies_;
};

}  // namespace netc
