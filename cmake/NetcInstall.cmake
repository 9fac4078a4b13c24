# `cmake --install`: the program, and what another build needs to compile models with it:
# find_package(netc) with netc_add_model(), and a pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(TARGET netc)
  install(TARGETS netc RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/netc)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/netcConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/netcConfig.cmake
  INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/netcConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/netcConfig.cmake
              ${PROJECT_BINARY_DIR}/package/netcConfigVersion.cmake
        DESTINATION ${package_dir})
configure_file(${CMAKE_CURRENT_LIST_DIR}/netc.pc.in ${PROJECT_BINARY_DIR}/package/netc.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/package/netc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
