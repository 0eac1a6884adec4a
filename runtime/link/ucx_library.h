// SPDX-License-Identifier: Apache-2.0
// The functions of UCX that Baton calls, found in libucp when the first data plane is made and not when the program starts:
// loading UCX takes longer than most commands, and only workers that move KV need it. Only ucx_*.cc include this.
#pragma once

#include <ucp/api/ucp.h>

#include "runtime/base/result.h"

namespace baton {

struct UcxLibrary {
  decltype(&::ucp_am_recv_data_nbx) ucp_am_recv_data_nbx = nullptr;
  decltype(&::ucp_am_send_nbx) ucp_am_send_nbx = nullptr;
  decltype(&::ucp_cleanup) ucp_cleanup = nullptr;
  decltype(&::ucp_config_modify) ucp_config_modify = nullptr;
  decltype(&::ucp_config_read) ucp_config_read = nullptr;
  decltype(&::ucp_config_release) ucp_config_release = nullptr;
  decltype(&::ucp_ep_close_nbx) ucp_ep_close_nbx = nullptr;
  decltype(&::ucp_ep_create) ucp_ep_create = nullptr;
  decltype(&::ucp_ep_print_info) ucp_ep_print_info = nullptr;
  decltype(&::ucp_get_version_string) ucp_get_version_string = nullptr;
  decltype(&::ucp_init_version) ucp_init_version = nullptr;
  decltype(&::ucp_listener_create) ucp_listener_create = nullptr;
  decltype(&::ucp_listener_destroy) ucp_listener_destroy = nullptr;
  decltype(&::ucp_listener_query) ucp_listener_query = nullptr;
  decltype(&::ucp_mem_map) ucp_mem_map = nullptr;
  decltype(&::ucp_mem_query) ucp_mem_query = nullptr;
  decltype(&::ucp_mem_unmap) ucp_mem_unmap = nullptr;
  decltype(&::ucp_request_free) ucp_request_free = nullptr;
  decltype(&::ucp_worker_arm) ucp_worker_arm = nullptr;
  decltype(&::ucp_worker_create) ucp_worker_create = nullptr;
  decltype(&::ucp_worker_destroy) ucp_worker_destroy = nullptr;
  decltype(&::ucp_worker_get_efd) ucp_worker_get_efd = nullptr;
  decltype(&::ucp_worker_progress) ucp_worker_progress = nullptr;
  decltype(&::ucp_worker_set_am_recv_handler) ucp_worker_set_am_recv_handler = nullptr;
  decltype(&::ucs_status_string) ucs_status_string = nullptr;
};

// Loads UCX once; from then on ucx() may be called, from any thread. kUnavailable says why it cannot be loaded.
Result<void> load_ucx();
const UcxLibrary& ucx();

}  // namespace baton
