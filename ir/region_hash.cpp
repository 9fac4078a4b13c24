#include "ir/region_hash.h"

#include <string>

namespace netc {
namespace {

// FNV-1a: the same everywhere and always.
struct Hash {
    std::uint64_t value = 0xcbf29ce484222325u;

    void add(std::string_view text) {
        for (const char c : text) add_byte(static_cast<unsigned char>(c));
        add_byte(0);
    }
    void add(std::int64_t number) { add(std::to_string(number)); }
    void add(const Bytes& bytes) {
        for (const std::int64_t number : {bytes.constant, bytes.per_16, bytes.per_sample})
            add(number);
    }
    void add_byte(unsigned char byte) { value = (value ^ byte) * 0x100000001b3u; }
};

void add_slots(Hash& hash, const Program& program) {
    for (const VariablePlace& slot : program.slots) {
        hash.add(slot.name);
        hash.add(slot.offset);
        hash.add(slot.size);
        hash.add(static_cast<std::int64_t>(slot.dtype));
    }
}

void add_calls(Hash& hash, const Program& program, const Entry& entry) {
    for (const Call& call : entry.calls) {
        hash.add(program.kernel_texts[call.kernel]);
        for (const BufferRef& buffer : call.arguments) {
            hash.add(static_cast<std::int64_t>(buffer.region));
            hash.add(buffer.offset);
            for (const Stride& stride : buffer.strides) hash.add(stride.bytes);
        }
    }
}

}  // namespace

std::uint64_t region_hash(const Program& program, RegionKind region, std::string_view machine) {
    Hash hash{program.model_hash};
    if (region == RegionKind::optimizer) {
        hash.add("optimizer");
        add_slots(hash, program);
    } else if (region == RegionKind::prepared) {
        hash.add("prepared");
        hash.add(machine);
        add_calls(hash, program, *program.find("prepare"));
    }
    return hash.value;
}

}  // namespace netc
