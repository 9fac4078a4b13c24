# Language level, build types, sanitizers and ccache: everything that holds for every target.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()

if(NETC_SANITIZE)
  add_compile_options(-fsanitize=${NETC_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${NETC_SANITIZE})
endif()

# Fuzz targets follow the coverage of everything that they link; our libraries, not only their own.
if(NETC_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# ccache needs to be told that precompiled headers are fine; GCC, to preprocess them as such. Paths below the source are taken
# relative, so that a fresh clone beside this one finds what is compiled already.
find_program(NETC_CCACHE ccache)
if(NETC_CCACHE AND (NOT CMAKE_CXX_COMPILER_LAUNCHER
                    OR CMAKE_CXX_COMPILER_LAUNCHER MATCHES "^([^;]*/)?ccache$"))
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      ${NETC_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()
