# What is used from the system. Each library becomes one target, so that the folders name it and
# nothing else; headers of others are system headers and give no warnings.

find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(Threads REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Eigen3 3.3 REQUIRED)
find_package(LLVM 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19)

# Its CMake package wants the command line tools too, which nobody needs.
find_path(NETC_ZIP_INCLUDE zip.h REQUIRED)
find_library(NETC_ZIP_LIBRARY zip REQUIRED)
add_library(netc_zip INTERFACE)
target_include_directories(netc_zip SYSTEM INTERFACE ${NETC_ZIP_INCLUDE})
target_link_libraries(netc_zip INTERFACE ${NETC_ZIP_LIBRARY})

add_library(netc_llvm INTERFACE)
target_include_directories(netc_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
target_link_libraries(netc_llvm INTERFACE LLVM)

find_path(NETC_ANTLR_INCLUDE antlr4-runtime.h PATH_SUFFIXES antlr4-runtime REQUIRED)
find_library(NETC_ANTLR_LIBRARY antlr4-runtime REQUIRED)
find_program(NETC_ANTLR_TOOL NAMES antlr4 REQUIRED)

# Tool and runtime come from two packages. Ubuntu 24.04 has 4.9 of the one and 4.10 of the other, which
# do not fit; there cmake/adapt_parser.py goes over the generated parser.
execute_process(COMMAND ${NETC_ANTLR_TOOL} OUTPUT_VARIABLE antlr_banner ERROR_VARIABLE antlr_banner)
if(NOT antlr_banner MATCHES "Version ([0-9]+\\.[0-9]+)")
  message(FATAL_ERROR "${NETC_ANTLR_TOOL} does not run:\n${antlr_banner}")
endif()
set(antlr_tool_version ${CMAKE_MATCH_1})
set(antlr_runtime_version 4.9)
if(EXISTS ${NETC_ANTLR_INCLUDE}/Version.h)  # since 4.10
  file(STRINGS ${NETC_ANTLR_INCLUDE}/Version.h antlr_minor REGEX "define ANTLRCPP_VERSION_MINOR ")
  string(REGEX MATCH "[0-9]+" antlr_minor "${antlr_minor}")
  set(antlr_runtime_version 4.${antlr_minor})
endif()
set(NETC_ANTLR_ADAPT FALSE)
if(antlr_tool_version VERSION_EQUAL 4.9 AND antlr_runtime_version VERSION_EQUAL 4.10)
  set(NETC_ANTLR_ADAPT TRUE)
elseif(antlr_tool_version VERSION_GREATER_EQUAL 4.10 AND antlr_runtime_version VERSION_LESS 4.10
       OR antlr_tool_version VERSION_LESS 4.10 AND antlr_runtime_version VERSION_GREATER_EQUAL 4.10)
  message(FATAL_ERROR "ANTLR's tool has version ${antlr_tool_version}, its C++ runtime "
    "${antlr_runtime_version}. They must be the same; point NETC_ANTLR_TOOL at a matching tool.")
endif()

add_library(netc_antlr INTERFACE)
target_include_directories(netc_antlr SYSTEM INTERFACE ${NETC_ANTLR_INCLUDE})
target_link_libraries(netc_antlr INTERFACE ${NETC_ANTLR_LIBRARY} Threads::Threads)
# The runtime's headers are from before char8_t became a type of its own.
target_compile_options(netc_antlr INTERFACE -fno-char8_t)

