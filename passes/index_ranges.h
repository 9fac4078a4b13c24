// Which integer inputs are used as indices, and how large they may be: data are checked where they
// enter, before anything is written.
#pragma once

#include <vector>

#include <cstdint>
#include <optional>

#include "ir/program.h"

namespace netc {

// Looks at the calls of an entry, in their order. An input is an index where a kernel takes it for a position
// of a gather or scatter, or compares it with an index of its own (one-hot); also through a buffer that holds
// it but for one value, `where(y == ignore, 0, y)`, which then is the one that passes. The smallest limit of
// each input is kept; a value passes where every use lets it.
class IndexRanges {
public:
    explicit IndexRanges(std::vector<Entry::IndexRange>& ranges) : ranges_(ranges) {}
    void add(const Kernel& kernel, const std::vector<BufferRef>& arguments);

private:
    friend class RangeFinder;
    struct Labels {  // an input, and which value of it does not count
        std::uint32_t input = 0;
        std::int64_t ignored = 0;
    };
    struct Copy {
        BufferRef place;
        Param param;
        Labels labels;
    };
    void note(Labels labels, std::int64_t limit);
    void forget(const BufferRef& place, const Param& param);

    std::vector<Entry::IndexRange>& ranges_;
    std::vector<Copy> copies_;
};

}  // namespace netc
