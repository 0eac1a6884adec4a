// SPDX-License-Identifier: Apache-2.0
// Aligned columns for people. Numbers (cells that start with a digit) go to the right. Widths count characters.
#pragma once

#include <string>
#include <vector>

namespace baton {

// The first row is the heading.
std::string render_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace baton
