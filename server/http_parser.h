// SPDX-License-Identifier: Apache-2.0
// HttpParser: one HTTP/1.x request after another out of a stream of bytes, strictly (RFC 9110, 9112). Whatever two readers
// could frame differently is refused, not repaired: two lengths, a length with chunks, a bare line feed, folded lines, spaces
// before colons. The first fault is final: the bytes behind it mean nothing. Pure: no clock, no socket. One thread. Holds one
// request, bounded by HttpLimits; bytes are looked at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/http_exchange.h"
#include "server/http_limits.h"

namespace baton {

// Why a request is refused, as an answer can say it.
struct HttpFault {
  unsigned status = 0;  // 0: none
  std::string message;
  std::string code;
};

class HttpParser {
 public:
  // kHead, kBody: more bytes are wanted. kDone: take() gives the request. kFailed: fault() says why.
  enum class State { kHead, kBody, kDone, kFailed };

  explicit HttpParser(const HttpLimits& limits) : limits_(limits) {}

  // Returns how many bytes it used: all of them, unless the request ended before, or failed. Used bytes are gone.
  std::size_t feed(std::string_view bytes);

  State state() const { return state_; }
  const HttpFault& fault() const { return fault_; }
  bool begun() const { return begun_; }  // a byte of the request has come
  std::size_t body_bytes() const { return request_.body.size(); }

  // From the end of the headers on.
  const HttpRequest& request() const { return request_; }
  bool head_only() const { return request_.method == "HEAD"; }
  bool expects_continue() const { return expects_continue_; }
  bool keep_alive() const { return keep_alive_; }
  bool http_1_0() const { return http_1_0_; }

  // The request, once done; the parser then awaits the next one.
  HttpRequest take();
  // From outside, for faults that are not the framing's: a time limit, a key.
  void refuse(HttpFault fault);

 private:
  enum class Part { kRequestLine, kHeaders, kFixedBody, kChunkSize, kChunkData, kChunkEnd, kTrailers };

  void take_line(std::string_view line);
  void take_request_line(std::string_view line);
  bool take_version(std::string_view version);
  void take_target(std::string_view target);
  void take_header(std::string_view line);
  void end_head();
  bool check_host();
  bool check_framing();
  bool check_connection();
  void take_chunk_size(std::string_view line);
  std::size_t take_body(std::string_view bytes);
  std::size_t take_chunk_end(std::string_view bytes);
  void fail(unsigned status, std::string message, const char* code = "bad_request");

  const HttpLimits limits_;
  State state_ = State::kHead;
  Part part_ = Part::kRequestLine;
  HttpFault fault_;
  HttpRequest request_;
  std::string line_;            // the line being read, without its end
  std::size_t head_bytes_ = 0;  // lines of this request so far
  std::size_t headers_ = 0;
  std::uint64_t left_ = 0;       // bytes of the body, or of the chunk, that are still to come
  std::uint32_t chunk_end_ = 0;  // bytes of the line end behind a chunk that have come
  bool begun_ = false;
  bool blank_seen_ = false;       // one empty line in front of a request is let pass
  bool carriage_return_ = false;  // the last byte was one
  bool http_1_0_ = false;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
};

}  // namespace baton
