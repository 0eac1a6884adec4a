// SPDX-License-Identifier: Apache-2.0
// A job's timeline as text for people and as members of a JSON object.
#pragma once

#include <string>

#include "launcher/json_writer.h"
#include "protocol/messages.h"

namespace baton {

// One line per part: milliseconds, share of the total, a bar; attempts below if there was more than one.
std::string render_timeline(const JobTimeline& timeline);

// The parts in milliseconds, for an open object.
void add_timeline(JsonWriter& json, const JobTimeline& timeline);

double milliseconds(std::uint64_t ns);

}  // namespace baton
