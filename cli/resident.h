// How much memory this process has at most had in use, as the system counts it.
#pragma once

namespace netc {

// Begins to count anew; false where the system cannot.
bool reset_resident_peak();
// Bytes, since the last reset or the start; 0 where the system does not say.
double resident_peak();

}  // namespace netc
