# Third-party libraries, each as one target of ours, so that folders name what they use.
# Debian 12: libzmq3-dev capnproto libcapnp-dev libyaml-cpp-dev libboost1.81-dev libspdlog-dev libcli11-dev
# libexpected-dev libxxhash-dev libutf8proc-dev libgtest-dev (see tools/install_packages.sh).
find_package(PkgConfig REQUIRED)
pkg_check_modules(CAPNP REQUIRED IMPORTED_TARGET capnp)
find_program(CAPNP_COMPILER capnp REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)

# UCX: the wheel's tree that tools/get_ucx.sh unpacks, else the system's (Debian: libucx-dev). The wheel's own pkg-config
# files name the machine it was built on, so its libraries are imported here.
set(BATON_UCX_ROOT ${CMAKE_SOURCE_DIR}/.deps/ucx CACHE PATH "Where tools/get_ucx.sh put UCX")
if(EXISTS ${BATON_UCX_ROOT}/libucx/lib/libucp.so)
  add_library(baton_ucx INTERFACE)
  target_include_directories(baton_ucx SYSTEM INTERFACE ${BATON_UCX_ROOT}/libucx/include)
  target_link_directories(baton_ucx INTERFACE ${BATON_UCX_ROOT}/libucx/lib)
  target_link_libraries(baton_ucx INTERFACE ucp ucs)
  # uct and ucm are found by ucp's own $ORIGIN; an installed program looks in its lib/ folder (see the launcher's install).
  target_link_options(baton_ucx INTERFACE "LINKER:-rpath,${BATON_UCX_ROOT}/libucx/lib")
  message(STATUS "UCX: ${BATON_UCX_ROOT}")
else()
  pkg_check_modules(UCX IMPORTED_TARGET ucx>=1.13)
  if(NOT UCX_FOUND)
    message(FATAL_ERROR "UCX not found: run tools/get_ucx.sh (puts it into ${BATON_UCX_ROOT}) or install libucx-dev >= 1.13")
  endif()
  add_library(baton_ucx INTERFACE)
  target_link_libraries(baton_ucx INTERFACE PkgConfig::UCX)
  message(STATUS "UCX: the system's, ${UCX_VERSION}")
endif()
