// SPDX-License-Identifier: Apache-2.0
#include "server/http_exchange.h"

namespace baton {

std::string_view HttpRequest::header(std::string_view lower_case_name) const {
  for (const HttpHeader& one : headers) {
    if (one.name == lower_case_name) return one.value;
  }
  return {};
}

}  // namespace baton
