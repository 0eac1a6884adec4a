// SPDX-License-Identifier: Apache-2.0
#include "launcher/scale_protocol.h"

#include <algorithm>

#include "config/topology.h"
#include "config/units.h"
#include "launcher/json_writer.h"
#include "runtime/base/json.h"

namespace baton {
namespace {

constexpr std::size_t kPoolsMax = 256;
constexpr std::size_t kNameBytesMax = 256;
constexpr std::int64_t kTimeoutMax = 24 * 3600 * 1000;  // milliseconds

tl::unexpected<Error> wrong(std::string what) { return fail(ErrorCode::kInvalidArgument, std::move(what)); }

std::optional<std::int64_t> whole(const boost::json::value* value, std::int64_t most) {
  if (value == nullptr || !value->is_int64() || value->get_int64() < 0 || value->get_int64() > most) return std::nullopt;
  return value->get_int64();
}

Result<boost::json::value> parse_line(std::string_view line) {
  if (line.size() > kScaleLineMax) return wrong("more than 64 KiB");
  return parse_json(line, {kScaleLineMax, 8});
}

Result<void> add_pool(ScaleRequest& request, PoolSize size) {
  const auto same = [&](const PoolSize& each) { return each.pool == size.pool; };
  if (std::any_of(request.pools.begin(), request.pools.end(), same)) return wrong("pool " + size.pool + " is named twice");
  request.pools.push_back(std::move(size));
  return {};
}

}  // namespace

Result<ScaleRequest> parse_scale_request(std::string_view line) {
  const auto object = parse_line(line);
  if (!object) return tl::unexpected<Error>(object.error());
  const boost::json::value* command = json_member(*object, "command");
  if (command == nullptr || !command->is_string() || command->get_string() != "scale") return wrong("\"command\" is not \"scale\"");
  const auto timeout = whole(json_member(*object, "timeout_ms"), kTimeoutMax);
  if (!timeout) return wrong("\"timeout_ms\" is no number from 0 to " + std::to_string(kTimeoutMax));
  const boost::json::value* pools = json_member(*object, "pools");
  if (pools == nullptr || !pools->is_array() || pools->get_array().empty() || pools->get_array().size() > kPoolsMax)
    return wrong("\"pools\" is no list of 1 to " + std::to_string(kPoolsMax));
  ScaleRequest request;
  request.limit = std::chrono::milliseconds(*timeout);
  for (const boost::json::value& each : pools->get_array()) {
    const boost::json::value* name = json_member(each, "name");
    const auto replicas = whole(json_member(each, "replicas"), kReplicasMax);
    if (name == nullptr || !name->is_string() || name->get_string().empty() || name->get_string().size() > kNameBytesMax) return wrong("a pool has no \"name\"");
    if (!replicas) return wrong("a pool's \"replicas\" is no number from 0 to " + std::to_string(kReplicasMax));
    RETURN_IF_ERROR(add_pool(request, {std::string(name->get_string()), static_cast<std::uint32_t>(*replicas)}));
  }
  return request;
}

Result<ScaleReply> parse_scale_reply(std::string_view line) {
  const auto object = parse_line(line);
  if (!object) return tl::unexpected<Error>(object.error());
  const boost::json::value* text = json_member(*object, "text");
  if (text == nullptr || !text->is_string()) return wrong("a reply without \"text\"");
  ScaleReply reply{std::string(text->get_string()), std::nullopt};
  const boost::json::value* exit_status = json_member(*object, "exit_status");
  if (exit_status == nullptr) return reply;
  const auto number = whole(exit_status, 255);
  if (!number) return wrong("a reply whose \"exit_status\" is none");
  reply.exit_status = static_cast<int>(*number);
  return reply;
}

Result<PoolSize> parse_pool_size(std::string_view word) {
  const std::size_t equals = word.find('=');
  const std::string_view number = equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
  const auto replicas = parse_unsigned(number);
  if (equals == 0 || equals == std::string_view::npos || !replicas || *replicas > kReplicasMax)
    return wrong('"' + std::string(word) + "\" is not POOL=N with N from 0 to " + std::to_string(kReplicasMax) + ", as in decode=3");
  return PoolSize{std::string(word.substr(0, equals)), static_cast<std::uint32_t>(*replicas)};
}

std::string to_line(const ScaleRequest& request) {
  JsonWriter json;
  json.begin_object().member("command", "scale");
  json.member("timeout_ms", std::chrono::duration_cast<std::chrono::milliseconds>(request.limit).count()).key("pools").begin_array();
  for (const PoolSize& each : request.pools) json.begin_object().member("name", each.pool).member("replicas", each.replicas).end_object();
  json.end_array().end_object();
  return json.take() + '\n';
}

std::string to_line(const ScaleReply& reply) {
  JsonWriter json;
  json.begin_object().member("text", reply.text.substr(0, kScaleLineMax / 8));  // escaped it is six times as long at most
  if (reply.exit_status) json.member("exit_status", *reply.exit_status);
  json.end_object();
  return json.take() + '\n';
}

Result<void> LineBuffer::add(std::string_view bytes) {
  bytes_ += bytes;
  const std::size_t end = bytes_.find('\n');
  if ((end == std::string::npos ? bytes_.size() : end) <= kScaleLineMax) return {};
  bytes_.clear();
  return fail(ErrorCode::kResourceExhausted, "more than 64 KiB without an end of line");
}

std::optional<std::string> LineBuffer::next() {
  const std::size_t end = bytes_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = bytes_.substr(0, end);
  bytes_.erase(0, end + 1);
  return line;
}

}  // namespace baton
