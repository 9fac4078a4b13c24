# cmake -DINPUT=std.net -DOUTPUT=dir/standard_library -P this: writes OUTPUT.h and OUTPUT.cpp, which
# hold the bytes of INPUT as netc::kStandardLibrary.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
file(WRITE ${OUTPUT}.h "// Generated from std.net.
#pragma once

#include <string_view>

namespace netc {
extern const std::string_view kStandardLibrary;
}
")
file(WRITE ${OUTPUT}.cpp "// Generated from std.net.
#include \"frontend/standard_library.h\"

namespace netc {
namespace {
constexpr char kBytes[] = {
${bytes}
};
}  // namespace
const std::string_view kStandardLibrary(kBytes, sizeof kBytes);
}  // namespace netc
")
