// Looking up entries of a program.
#include "ir/program.h"

namespace netc {

const Entry* Program::find(std::string_view entry) const {
    for (const Entry& each : entries) {
        if (each.name == entry) return &each;
    }
    return nullptr;
}

}  // namespace netc
