// SPDX-License-Identifier: Apache-2.0
// What this program was built as; `baton version` shows more of it.
#pragma once

namespace baton {

struct BuildName {
  const char* version;
  const char* commit;
};
BuildName build_name();

}  // namespace baton
