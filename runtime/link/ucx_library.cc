// SPDX-License-Identifier: Apache-2.0
// BATON_UCX_FOLDER comes from CMake: where libucp.so.0 lies, or "" for the system's.
#include "runtime/link/ucx_library.h"

#include <dlfcn.h>

#include <string>

#include "runtime/base/check.h"
#include "runtime/link/ucx_version.h"

namespace baton {
namespace {

struct Loaded {
  UcxLibrary library;
  std::string why_not;  // empty: it is there
};

template <class Function>
bool find(void* handle, const char* name, Function& out) {
  out = reinterpret_cast<Function>(dlsym(handle, name));
  return out != nullptr;
}

bool find_all(void* handle, UcxLibrary& library) {
  bool found = true;
  found = found && find(handle, "ucp_am_recv_data_nbx", library.ucp_am_recv_data_nbx);
  found = found && find(handle, "ucp_am_send_nbx", library.ucp_am_send_nbx);
  found = found && find(handle, "ucp_cleanup", library.ucp_cleanup);
  found = found && find(handle, "ucp_config_modify", library.ucp_config_modify);
  found = found && find(handle, "ucp_config_read", library.ucp_config_read);
  found = found && find(handle, "ucp_config_release", library.ucp_config_release);
  found = found && find(handle, "ucp_ep_close_nbx", library.ucp_ep_close_nbx);
  found = found && find(handle, "ucp_ep_create", library.ucp_ep_create);
  found = found && find(handle, "ucp_ep_print_info", library.ucp_ep_print_info);
  found = found && find(handle, "ucp_get_version_string", library.ucp_get_version_string);
  found = found && find(handle, "ucp_init_version", library.ucp_init_version);
  found = found && find(handle, "ucp_listener_create", library.ucp_listener_create);
  found = found && find(handle, "ucp_listener_destroy", library.ucp_listener_destroy);
  found = found && find(handle, "ucp_listener_query", library.ucp_listener_query);
  found = found && find(handle, "ucp_mem_map", library.ucp_mem_map);
  found = found && find(handle, "ucp_mem_query", library.ucp_mem_query);
  found = found && find(handle, "ucp_mem_unmap", library.ucp_mem_unmap);
  found = found && find(handle, "ucp_request_free", library.ucp_request_free);
  found = found && find(handle, "ucp_worker_arm", library.ucp_worker_arm);
  found = found && find(handle, "ucp_worker_create", library.ucp_worker_create);
  found = found && find(handle, "ucp_worker_destroy", library.ucp_worker_destroy);
  found = found && find(handle, "ucp_worker_get_efd", library.ucp_worker_get_efd);
  found = found && find(handle, "ucp_worker_progress", library.ucp_worker_progress);
  found = found && find(handle, "ucp_worker_set_am_recv_handler", library.ucp_worker_set_am_recv_handler);
  found = found && find(handle, "ucs_status_string", library.ucs_status_string);
  return found;
}

Loaded load() {
  Loaded loaded;
  const std::string folder = BATON_UCX_FOLDER;
  // Never unloaded: its threads and handlers live as long as the process.
  void* handle = folder.empty() ? nullptr : dlopen((folder + "/libucp.so.0").c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) handle = dlopen("libucp.so.0", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr || !find_all(handle, loaded.library)) {
    const char* why = dlerror();
    loaded.why_not = "UCX cannot be loaded (" + std::string(why != nullptr ? why : "unknown reason") + "): run tools/get_ucx.sh, or install libucx0";
  }
  return loaded;
}

const Loaded& loaded_ucx() {
  static const Loaded loaded = load();
  return loaded;
}

}  // namespace

Result<void> load_ucx() {
  if (const std::string& why = loaded_ucx().why_not; !why.empty()) return fail(ErrorCode::kUnavailable, why);
  return {};
}

Result<std::string> ucx_version() {
  RETURN_IF_ERROR(load_ucx());
  return std::string(ucx().ucp_get_version_string());
}

const UcxLibrary& ucx() {
  const Loaded& loaded = loaded_ucx();
  CHECK(loaded.why_not.empty(), "UCX is used without being loaded");
  return loaded.library;
}

}  // namespace baton
