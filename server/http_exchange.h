// SPDX-License-Identifier: Apache-2.0
// The seam between HTTP (sockets, parsing, limits: http_server.*) and what is served over it (routes, OpenAI's bodies). Both
// sides live on the HTTP thread; whoever has an answer elsewhere posts it there (HttpServer::post).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

struct HttpHeader {
  std::string name;  // lower case in requests, as written in responses
  std::string value;
};

// A whole request: the server has read it within its limits and checked its framing.
struct HttpRequest {
  std::string method;
  std::string path;   // without query; percent-decoded, begins with '/'
  std::string query;  // as sent, without '?'
  std::vector<HttpHeader> headers;
  std::string body;
  std::optional<std::size_t> key = {};  // the API key it came with, as ApiKeys counts them; nullopt: none is needed here
  std::string_view header(std::string_view lower_case_name) const;  // the first one, or ""
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::vector<HttpHeader> headers;  // further ones
  std::string body;
};

// One request's answer: respond() once, or start_stream(), write()s and finish(). Letting go of an exchange that was not
// answered closes the connection. HTTP thread only. HEAD is the server's business: it drops the body.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual void respond(HttpResponse response) = 0;
  // Sends the head now (its body must be empty); the body follows in chunks.
  virtual void start_stream(HttpResponse head) = 0;
  // False: nobody reads any more (gone, or more than the stream buffer is unsent, not counting single writes larger than that, nor
  // echoes: then the connection is closed). `echoed`: so many of the bytes are what the client sent itself, given back all at once; how
  // many there are says nothing about how fast it reads.
  virtual bool write(std::string_view bytes, std::size_t echoed) = 0;
  bool write(std::string_view bytes) { return write(bytes, 0); }
  virtual void finish() = 0;
  // Runs once, if the client is gone before finish() or respond() was handed over whole. Replaces an earlier one.
  virtual void on_gone(std::function<void()> gone) = 0;
};

using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<HttpExchange>)>;

}  // namespace baton
