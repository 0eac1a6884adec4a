// SPDX-License-Identifier: Apache-2.0
// BATON_VERSION, BATON_COMMIT, BATON_BUILD_TYPE, BATON_SANITIZERS and BATON_LIBRARIES come from CMake, for this file alone.
#include <cstdio>
#include <string>

#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/json_writer.h"
#include "launcher/version.h"
#include "protocol/messages.h"

namespace baton {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

}  // namespace

BuildName build_name() { return {BATON_VERSION, BATON_COMMIT}; }

int run_version(const VersionOptions& options) {
  const std::string protocol = std::to_string(kProtocolMin) + ".." + std::to_string(kProtocolMax);
  if (options.json) {
    JsonWriter json;
    json.begin_object().member("version", BATON_VERSION).member("commit", BATON_COMMIT).member("build_type", BATON_BUILD_TYPE);
    json.member("sanitizers", BATON_SANITIZERS).member("compiler", kCompiler).member("libraries", BATON_LIBRARIES);
    json.member("protocol", protocol).end_object();
    std::printf("%s\n", json.take().c_str());
    return kDone;
  }
  std::printf("baton %s (%s)\n", BATON_VERSION, BATON_COMMIT);
  std::printf("  build      %s%s%s, %s\n", BATON_BUILD_TYPE, *BATON_SANITIZERS != '\0' ? " with sanitizers " : "", BATON_SANITIZERS, kCompiler);
  std::printf("  libraries  %s\n", BATON_LIBRARIES);
  std::printf("  protocol   %s\n", protocol.c_str());
  return kDone;
}

}  // namespace baton
