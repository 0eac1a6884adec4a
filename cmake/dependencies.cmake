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
