# What is used from the system. Each library becomes one target, so that the folders name it and
# nothing else; headers of others are system headers and give no warnings.

find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)
find_package(CLI11 REQUIRED)
find_package(LLVM 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19)

add_library(netc_llvm INTERFACE)
target_include_directories(netc_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
target_link_libraries(netc_llvm INTERFACE LLVM)

find_path(NETC_ANTLR_INCLUDE antlr4-runtime.h PATH_SUFFIXES antlr4-runtime REQUIRED)
find_library(NETC_ANTLR_LIBRARY antlr4-runtime REQUIRED)
find_program(NETC_ANTLR_TOOL NAMES antlr4 REQUIRED)
add_library(netc_antlr INTERFACE)
target_include_directories(netc_antlr SYSTEM INTERFACE ${NETC_ANTLR_INCLUDE})
target_link_libraries(netc_antlr INTERFACE ${NETC_ANTLR_LIBRARY} Threads::Threads)
# The runtime's headers are from before char8_t became a type of its own.
target_compile_options(netc_antlr INTERFACE -fno-char8_t)

find_package(Python3 REQUIRED COMPONENTS Interpreter)
