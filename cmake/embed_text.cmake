# cmake -DINPUT=std.net -DOUTPUT=dir/frontend/standard_library -DHEADER=frontend/standard_library
#       -DCONSTANT=kStandardLibrary -P this:
# writes OUTPUT.h and OUTPUT.cpp, which hold the bytes of INPUT as netc::CONSTANT.
get_filename_component(name ${INPUT} NAME)
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
file(WRITE ${OUTPUT}.h "// Generated from ${name}.
#pragma once

#include <string_view>

namespace netc {
extern const std::string_view ${CONSTANT};
}
")
file(WRITE ${OUTPUT}.cpp "// Generated from ${name}.
#include \"${HEADER}.h\"

namespace netc {
namespace {
constexpr char kBytes[] = {
${bytes}
};
}  // namespace
const std::string_view ${CONSTANT}(kBytes, sizeof kBytes);
}  // namespace netc
")
