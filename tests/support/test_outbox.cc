// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_outbox.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace baton {

void TestOutbox::post(const ActorRef& to, Payload message) { sent_.push_back({to, std::move(message)}); }
void TestOutbox::wake_at(Time when) { wake_ = std::min(wake_, when); }
void TestOutbox::introduce(NodeId node, const std::string& address) { introduced_.push_back({node, address}); }
void TestOutbox::fence(NodeId node, Incarnation incarnation) { fenced_.push_back({node, incarnation}); }

void TestOutbox::clear() {
  sent_.clear();
  introduced_.clear();
  fenced_.clear();
  wake_ = kNever;
}

void TestOutbox::undecodable(const Payload& payload, const Error& error) {
  check_failed(__FILE__, __LINE__, "a sent message decodes", "kind " + std::to_string(payload.kind) + ": " + error.message);
}

}  // namespace baton
