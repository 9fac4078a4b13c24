// Catch2 version 3 under the header name of version 2, which the tests use: Debian 12 has the one,
// newer systems have the other. On the include path only where version 2 is not.
#pragma once

#include <catch2/catch_all.hpp>

using Catch::Approx;

#ifdef CATCH_CONFIG_MAIN
int main(int count, char* arguments[]) { return Catch::Session().run(count, arguments); }
#endif
