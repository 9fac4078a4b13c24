# How a folder becomes a library.

# netc_warnings(TARGET): the warnings that all of our own sources compile under.
function(netc_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wsign-conversion)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 sees these in the standard library's own strings and vectors when it optimizes (bugs 105329,
    # 105562, 103615).
    target_compile_options(${target} PRIVATE -Wno-restrict -Wno-array-bounds -Wno-free-nonheap-object
                                             -Wno-stringop-overflow)
  endif()
  if(NETC_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# netc_sources(VARIABLE): every .cpp of the current folder. A folder without any still makes a
# library, so that the others configure.
function(netc_sources variable)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(NOT found)
    set(found ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp)
    file(CONFIGURE OUTPUT ${found} CONTENT "")
  endif()
  set(${variable} ${found} PARENT_SCOPE)
endfunction()

# What most sources include, precompiled: a third of the time to build. Every source names all that it uses; a build with
# -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON says where one does not.
set(NETC_COMMON_HEADERS
  <algorithm> <charconv> <cmath> <functional> <map> <memory> <optional> <set> <span> <sstream>
  <string> <string_view> <unordered_map> <variant> <vector> <fmt/format.h>)

# netc_library(NAME SOURCES...): a static library whose includes are rooted at the repository.
function(netc_library name)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_precompile_headers(${name} PRIVATE ${NETC_COMMON_HEADERS})
  netc_warnings(${name})
endfunction()

# netc_embed(SOURCES FILE FOLDER HEADER CONSTANT): what netc carries with it. The bytes of FILE become netc::CONSTANT of
# FOLDER/HEADER.h; what is generated for it is added to the list SOURCES.
function(netc_embed sources_variable file folder header constant)
  set(script ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake)
  set(output ${folder}/${header})
  get_filename_component(name ${file} NAME)
  add_custom_command(
    OUTPUT ${output}.cpp ${output}.h
    COMMAND ${CMAKE_COMMAND} -DINPUT=${file} -DOUTPUT=${output} -DHEADER=${header} -DCONSTANT=${constant}
            -P ${script}
    DEPENDS ${file} ${script}
    COMMENT "Embedding ${name}"
    VERBATIM)
  set(${sources_variable} ${${sources_variable}} ${output}.cpp ${output}.h PARENT_SCOPE)
endfunction()
