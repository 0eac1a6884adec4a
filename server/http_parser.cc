// SPDX-License-Identifier: Apache-2.0
#include "server/http_parser.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "server/http_text.h"

namespace baton {
namespace {

constexpr std::size_t kMethodBytesMax = 32;
constexpr std::size_t kChunkLineBytesMax = 256;
constexpr std::size_t kChunkDigitsMax = 16;
// Methods that some resource could have; others are not known here.
constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

// Decimal digits alone, without wrapping around.
bool parse_length(std::string_view text, std::uint64_t& value) {
  if (text.empty() || text.size() > 19) return false;
  value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

const HttpHeader* only_header(const HttpRequest& request, std::string_view name, std::size_t& count) {
  const HttpHeader* found = nullptr;
  count = 0;
  for (const HttpHeader& each : request.headers) {
    if (each.name != name) continue;
    if (found == nullptr) found = &each;
    ++count;
  }
  return found;
}

}  // namespace

void HttpParser::fail(unsigned status, std::string message, const char* code) {
  state_ = State::kFailed;
  fault_ = {status, std::move(message), code};
}

void HttpParser::refuse(HttpFault fault) {
  state_ = State::kFailed;
  fault_ = std::move(fault);
}

HttpRequest HttpParser::take() {
  CHECK(state_ == State::kDone, "a request was taken before it was whole");
  HttpRequest done = std::exchange(request_, {});
  state_ = State::kHead;
  part_ = Part::kRequestLine;
  line_.clear();
  head_bytes_ = headers_ = 0;
  left_ = 0;
  chunk_end_ = 0;
  begun_ = blank_seen_ = carriage_return_ = http_1_0_ = expects_continue_ = false;
  keep_alive_ = true;
  return done;
}

std::size_t HttpParser::feed(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && state_ != State::kDone && state_ != State::kFailed) {
    begun_ = true;
    if (part_ == Part::kFixedBody || part_ == Part::kChunkData) {
      used += take_body(bytes.substr(used));
      continue;
    }
    if (part_ == Part::kChunkEnd) {
      used += take_chunk_end(bytes.substr(used));
      continue;
    }
    const char c = bytes[used++];
    const bool ends = carriage_return_ && c == '\n';
    if (part_ != Part::kChunkSize && ++head_bytes_ > limits_.head_bytes) {
      if (part_ == Part::kRequestLine)
        fail(414, "the request line is longer than " + std::to_string(limits_.target_bytes) + " bytes", "uri_too_long");
      else fail(431, "the headers are larger than " + std::to_string(limits_.head_bytes) + " bytes", "headers_too_large");
    } else if (ends) {
      carriage_return_ = false;
      take_line(std::exchange(line_, {}));
    } else if (c == '\n' || carriage_return_) {
      fail(400, "lines end in CR LF; a CR or LF stands alone");
    } else if (c == '\r') {
      carriage_return_ = true;
    } else if (c == '\0') {
      fail(400, "there is a NUL byte in the headers");
    } else if (part_ == Part::kChunkSize && line_.size() >= kChunkLineBytesMax) {
      fail(400, "a chunk's size and extensions are longer than " + std::to_string(kChunkLineBytesMax) + " bytes");
    } else if (part_ == Part::kRequestLine && line_.size() >= limits_.target_bytes + kMethodBytesMax) {
      fail(414, "the request line is longer than " + std::to_string(limits_.target_bytes) + " bytes", "uri_too_long");
    } else {
      line_ += c;
    }
  }
  return used;
}

void HttpParser::take_line(std::string_view line) {
  switch (part_) {
    case Part::kRequestLine:
      if (!line.empty()) return take_request_line(line);
      if (std::exchange(blank_seen_, true)) fail(400, "the request line is empty");
      return;
    case Part::kHeaders: return line.empty() ? end_head() : take_header(line);
    case Part::kTrailers:
      if (!line.empty()) return take_header(line);
      state_ = State::kDone;
      return;
    default: return take_chunk_size(line);
  }
}

void HttpParser::take_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return fail(400, "the request line must be METHOD TARGET HTTP/1.1");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!is_http_token(method) || method.size() > kMethodBytesMax) return fail(400, "the request line begins with no method");
  if (!take_version(line.substr(last + 1))) return;
  if (std::find(std::begin(kMethods), std::end(kMethods), method) == std::end(kMethods))
    return fail(501, "the method is not known here; methods are written in capitals", "method_not_implemented");
  request_.method = std::string(method);
  take_target(target);
  part_ = Part::kHeaders;
}

bool HttpParser::take_version(std::string_view version) {
  const bool formed = version.size() == 8 && version.starts_with("HTTP/") && version[5] >= '0' && version[5] <= '9' &&
                      version[6] == '.' && version[7] >= '0' && version[7] <= '9';
  http_1_0_ = version == "HTTP/1.0";
  if (!formed) fail(400, "the request line must end in HTTP/1.1");
  else if (version != "HTTP/1.1" && !http_1_0_)
    fail(505, "this server speaks HTTP/1.1 and HTTP/1.0", "http_version_not_supported");
  keep_alive_ = !http_1_0_;
  return state_ != State::kFailed;
}

void HttpParser::take_target(std::string_view target) {
  if (target.size() > limits_.target_bytes)
    return fail(414, "the target is longer than " + std::to_string(limits_.target_bytes) + " bytes", "uri_too_long");
  if (!is_http_target(target)) {
    // A bracket is good in the host of an absolute target, and nowhere else.
    if (target.find('[') == std::string_view::npos) return fail(400, "the target has characters that must be percent-encoded");
  }
  if (target == "*") {
    if (request_.method != "OPTIONS") return fail(400, "the target * is for OPTIONS");
    request_.path = "*";
    return;
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() < scheme.size() || !equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const std::size_t end = std::min(target.size(), target.find_first_of("/?"));
    if (!is_http_host(target.substr(0, end))) return fail(400, "the target names no good host");
    target.remove_prefix(end);
    if (target.empty()) target = "/";
    break;
  }
  if (target.front() != '/' || !is_http_target(target))
    return fail(400, "the target must begin with /, and be percent-encoded");
  const std::size_t mark = std::min(target.size(), target.find('?'));
  auto path = decode_path(target.substr(0, mark));
  if (!path) return fail(400, "the target's path is not UTF-8, or has control characters");
  request_.path = std::move(*path);
  request_.query = std::string(target.substr(std::min(target.size(), mark + 1)));
}

void HttpParser::take_header(std::string_view line) {
  if (++headers_ > limits_.headers)
    return fail(431, "more than " + std::to_string(limits_.headers) + " headers", "headers_too_large");
  if (line.front() == ' ' || line.front() == '\t') return fail(400, "a header is folded over several lines");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return fail(400, "a header has no colon");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim_blanks(line.substr(colon + 1));
  if (!is_http_token(name)) return fail(400, "a header's name has characters that names do not have");
  if (!is_http_field_value(value)) return fail(400, "a header's value has control characters");
  HttpHeader header{lower_case(name), std::string(value)};
  if (part_ == Part::kHeaders) {
    request_.headers.push_back(std::move(header));
    return;
  }
  // Trailers are checked and dropped: nothing here reads them, and none may change what has been understood already.
  for (const char* framing : {"content-length", "transfer-encoding", "host", "authorization", "expect", "connection"})
    if (header.name == framing) return fail(400, std::string("the trailer has a ") + framing);
}

void HttpParser::end_head() {
  if (!check_host() || !check_framing() || !check_connection()) return;
  line_.shrink_to_fit();
}

bool HttpParser::check_host() {
  std::size_t count = 0;
  const HttpHeader* host = only_header(request_, "host", count);
  if (count > 1) fail(400, "there is more than one Host header");
  else if (count == 0 && !http_1_0_) fail(400, "the Host header is missing");
  else if (host != nullptr && !is_http_host(host->value)) fail(400, "the Host header names no good host");
  return state_ != State::kFailed;
}

bool HttpParser::check_framing() {
  std::size_t lengths = 0, codings = 0, contents = 0;
  const HttpHeader* length = only_header(request_, "content-length", lengths);
  const HttpHeader* coding = only_header(request_, "transfer-encoding", codings);
  const HttpHeader* content = only_header(request_, "content-encoding", contents);
  if (lengths > 1) fail(400, "there is more than one Content-Length");
  else if (codings > 1) fail(400, "there is more than one Transfer-Encoding");
  else if (length != nullptr && coding != nullptr) fail(400, "there is a Content-Length and a Transfer-Encoding");
  else if (coding != nullptr && http_1_0_) fail(400, "HTTP/1.0 has no Transfer-Encoding");
  else if (coding != nullptr && !equal_ignoring_case(coding->value, "chunked"))
    fail(501, "the only Transfer-Encoding known here is chunked", "transfer_encoding_not_implemented");
  else if (length != nullptr && !parse_length(length->value, left_)) fail(400, "the Content-Length is no number");
  else if (length != nullptr && left_ > limits_.body_bytes)
    fail(413, "the body has " + length->value + " bytes; at most " + std::to_string(limits_.body_bytes) + " are taken",
         "request_too_large");
  else if (contents > 1 || (content != nullptr && !equal_ignoring_case(content->value, "identity")))
    fail(415, "the body must not be compressed: send it without Content-Encoding", "unsupported_encoding");
  if (state_ == State::kFailed) return false;
  if (coding != nullptr) part_ = Part::kChunkSize;
  else part_ = Part::kFixedBody;
  state_ = coding == nullptr && left_ == 0 ? State::kDone : State::kBody;
  return true;
}

bool HttpParser::check_connection() {
  for (const HttpHeader& each : request_.headers) {
    if (each.name == "connection") {
      if (lists_word(each.value, "close")) keep_alive_ = false;
      else if (http_1_0_ && lists_word(each.value, "keep-alive")) keep_alive_ = true;
    } else if (each.name == "expect" && !http_1_0_) {
      if (!equal_ignoring_case(each.value, "100-continue"))
        fail(417, "the only Expect known here is 100-continue", "expectation_failed");
      else expects_continue_ = state_ == State::kBody;
    }
    if (state_ == State::kFailed) return false;
  }
  return true;
}

void HttpParser::take_chunk_size(std::string_view line) {
  std::size_t digits = 0;
  std::uint64_t size = 0;
  for (; digits < line.size(); ++digits) {
    const char c = line[digits];
    const int value = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (value < 0) break;
    if (digits >= kChunkDigitsMax) return fail(400, "a chunk's size is no number of bytes");
    size = size * 16 + static_cast<std::uint64_t>(value);
  }
  if (digits == 0) return fail(400, "a chunk's size is no hexadecimal number");
  if (!is_chunk_extension(line.substr(digits)))
    return fail(400, "a chunk's size is followed by something else than extensions");
  if (size > limits_.body_bytes - request_.body.size())
    return fail(413, "the body is larger than " + std::to_string(limits_.body_bytes) + " bytes", "request_too_large");
  left_ = size;
  part_ = size == 0 ? Part::kTrailers : Part::kChunkData;
}

std::size_t HttpParser::take_body(std::string_view bytes) {
  const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  request_.body.append(bytes.substr(0, part));
  left_ -= part;
  if (left_ > 0) return part;
  if (part_ == Part::kFixedBody) {
    state_ = State::kDone;
  } else {
    part_ = Part::kChunkEnd;
    chunk_end_ = 0;
  }
  return part;
}

std::size_t HttpParser::take_chunk_end(std::string_view bytes) {
  if (bytes.front() != "\r\n"[chunk_end_]) {
    fail(400, "a chunk is not as long as its size says");
    return 0;
  }
  if (++chunk_end_ == 2) part_ = Part::kChunkSize;
  return 1;
}

}  // namespace baton
