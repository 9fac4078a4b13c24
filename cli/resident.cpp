#include "cli/resident.h"

#include <fstream>
#include <string>

namespace netc {

bool reset_resident_peak() {
    std::ofstream file("/proc/self/clear_refs");
    file << "5";  // see proc(5)
    return static_cast<bool>(file.flush());
}

double resident_peak() {
    std::ifstream file("/proc/self/status");
    for (std::string word; file >> word;) {
        double kilobytes = 0;
        if (word == "VmHWM:" && file >> kilobytes) return kilobytes * 1024;
    }
    return 0;
}

}  // namespace netc
