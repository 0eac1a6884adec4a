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

# UCX: the wheel's tree that tools/get_ucx.sh unpacks, else the system's (Debian: libucx-dev). Only its headers are used to
# build: runtime/link/ucx_library.cc loads it when it is needed, from BATON_UCX_FOLDER or from where the system looks. The
# wheel's own pkg-config files name the machine it was built on, so its headers are named here.
set(BATON_UCX_ROOT ${CMAKE_SOURCE_DIR}/.deps/ucx CACHE PATH "Where tools/get_ucx.sh put UCX")
add_library(baton_ucx INTERFACE)
if(EXISTS ${BATON_UCX_ROOT}/libucx/lib/libucp.so)
  target_include_directories(baton_ucx SYSTEM INTERFACE ${BATON_UCX_ROOT}/libucx/include)
  set(BATON_UCX_FOLDER ${BATON_UCX_ROOT}/libucx/lib)
  message(STATUS "UCX: ${BATON_UCX_ROOT}")
else()
  pkg_check_modules(UCX ucx>=1.13)
  if(NOT UCX_FOUND)
    message(FATAL_ERROR "UCX not found: run tools/get_ucx.sh (puts it into ${BATON_UCX_ROOT}) or install libucx-dev >= 1.13")
  endif()
  target_include_directories(baton_ucx SYSTEM INTERFACE ${UCX_INCLUDE_DIRS})
  set(BATON_UCX_FOLDER "")
  message(STATUS "UCX: the system's, ${UCX_VERSION}")
endif()
set_source_files_properties(${CMAKE_SOURCE_DIR}/runtime/link/ucx_library.cc PROPERTIES COMPILE_DEFINITIONS "BATON_UCX_FOLDER=\"${BATON_UCX_FOLDER}\"")
