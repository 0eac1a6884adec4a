// SPDX-License-Identifier: Apache-2.0
#include "tests/support/smuggling_cases.h"

#include <initializer_list>
#include <string_view>

#include "tests/support/raw_http.h"

namespace baton::test {
namespace {

const std::string kHidden = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

// A POST with those header lines and that body, which the hidden request follows.
std::string post(const std::string& headers, const std::string& body) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" + body + kHidden;
}
std::string chunked(const std::string& body) { return post("Transfer-Encoding: chunked\r\n", body); }
std::string get(const std::string& headers) { return "GET /x HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" + kHidden; }
std::string line(const std::string& request_line) { return request_line + "\r\nHost: a\r\n\r\n" + kHidden; }

std::string with_nul(const char* before, const char* after) { return std::string(before) + std::string(1, '\0') + after; }

using Cases = std::vector<SmugglingCase>;
void add(Cases& all, std::initializer_list<SmugglingCase> more) { all.insert(all.end(), more); }

void add_lengths(Cases& all) {
  add(all, {
               {"length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
               {"chunks and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400},
               {"length of zero and chunks", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
               {"two equal lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400},
               {"two different lengths", post("Content-Length: 3\r\nContent-Length: 0\r\n", "abc"), 400},
               {"two lengths in different case", post("Content-Length: 3\r\ncontent-length: 3\r\n", "abc"), 400},
               {"list of equal lengths", post("Content-Length: 3, 3\r\n", "abc"), 400},
               {"list of lengths", post("Content-Length: 3, 0\r\n", "abc"), 400},
               {"empty length", post("Content-Length: \r\n", ""), 400},
               {"negative length", post("Content-Length: -1\r\n", ""), 400},
               {"length with plus", post("Content-Length: +3\r\n", "abc"), 400},
               {"hexadecimal length", post("Content-Length: 0x3\r\n", "abc"), 400},
               {"length with exponent", post("Content-Length: 3e0\r\n", "abc"), 400},
               {"length with point", post("Content-Length: 3.0\r\n", "abc"), 400},
               {"length with inner space", post("Content-Length: 1 2\r\n", "abc"), 400},
               {"length with underscore", post("Content-Length: 1_0\r\n", "abc"), 400},
               {"length with letters behind", post("Content-Length: 3abc\r\n", "abc"), 400},
               {"length of 2^64 + 3", post("Content-Length: 18446744073709551619\r\n", "abc"), 400},
               {"length of 2^63", post("Content-Length: 9223372036854775808\r\n", "abc"), 413},
               {"length of 2^32 + 3", post("Content-Length: 4294967299\r\n", "abc"), 413},
               {"length with many digits", post("Content-Length: 00000000000000000000003\r\n", "abc"), 400},
               {"length in other digits", post("Content-Length: \xd9\xa3\r\n", "abc"), 400},
               {"quoted length", post("Content-Length: \"3\"\r\n", "abc"), 400},
               {"length with semicolon", post("Content-Length: 3;\r\n", "abc"), 400},
               {"length with vertical tab", post("Content-Length: \v3\r\n", "abc"), 400},
               {"length of GET hides a request", get("Content-Length: 0\r\nContent-Length: 34\r\n"), 400},
           });
}

void add_codings(Cases& all) {
  add(all,
      {
          {"two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
          {"coding and identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), 400},
          {"chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 501},
          {"identity", post("Transfer-Encoding: identity\r\n", "0\r\n\r\n"), 501},
          {"gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
          {"chunked twice in a list", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 501},
          {"empty coding", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), 501},
          {"unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501},
          {"coding with comma in front", post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"), 501},
          {"coding with comma behind", post("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"), 501},
          {"coding with parameter", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), 501},
          {"quoted coding", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 501},
          {"coding behind a vertical tab", post("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n"), 400},
          {"coding behind a form feed", post("Transfer-Encoding: \fchunked\r\n", "0\r\n\r\n"), 400},
          {"coding with NUL", post(with_nul("Transfer-Encoding: chunked", "\r\n"), "0\r\n\r\n"), 400},
          {"coding with byte above ASCII", post("Transfer-Encoding: chunked\xa0\r\n", "0\r\n\r\n"), 501},
          {"coding with space before colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400},
          {"coding with tab before colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400},
          {"coding's name with byte above ASCII", post("Transfer-Encoding\xa0: chunked\r\n", "0\r\n\r\n"), 400},
          {"coding's name begins with space", post("X: y\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
          {"folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400},
          {"folded with tab", post("Transfer-Encoding:\r\n\tchunked\r\n", "0\r\n\r\n"), 400},
          {"coding behind a bare line feed", post("X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
          {"coding behind a bare carriage return", post("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
          {"HTTP/1.0 with chunks", "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + kHidden, 400},
          {"compressed body", post("Content-Encoding: gzip\r\nContent-Length: 3\r\n", "abc"), 415},
      });
}

void add_chunks(Cases& all) {
  add(all, {
               {"chunk size of -2", chunked("-2\r\nab\r\n0\r\n\r\n"), 400},
               {"chunk size of +2", chunked("+2\r\nab\r\n0\r\n\r\n"), 400},
               {"chunk size with 0x", chunked("0x2\r\nab\r\n0\r\n\r\n"), 400},
               {"chunk size of 2^64", chunked("10000000000000000\r\nab\r\n0\r\n\r\n"), 400},
               {"chunk size of 2^64 + 2", chunked("10000000000000002\r\nab\r\n0\r\n\r\n"), 400},
               {"chunk size of 2^64 - 1", chunked("ffffffffffffffff\r\nab\r\n0\r\n\r\n"), 413},
               {"chunk size of 2^63", chunked("8000000000000000\r\nab\r\n0\r\n\r\n"), 413},
               {"chunk size of 2^32 + 2", chunked("100000002\r\nab\r\n0\r\n\r\n"), 413},
               {"chunk size with many zeros", chunked("00000000000000002\r\nab\r\n0\r\n\r\n"), 400},
               {"empty chunk size", chunked("\r\nab\r\n0\r\n\r\n"), 400},
               {"chunk size of letters", chunked("zz\r\nab\r\n0\r\n\r\n"), 400},
               {"space before chunk size", chunked(" 2\r\nab\r\n0\r\n\r\n"), 400},
               {"space behind chunk size", chunked("2 \r\nab\r\n0\r\n\r\n"), 400},
               {"tab behind chunk size", chunked("2\t\r\nab\r\n0\r\n\r\n"), 400},
               {"chunk size ends in a line feed", chunked("2\nab\r\n0\r\n\r\n"), 400},
               {"chunk size ends in a carriage return", chunked("2\rab\r\n0\r\n\r\n"), 400},
               {"chunk size with NUL", chunked(with_nul("2", "\r\nab\r\n0\r\n\r\n")), 400},
               {"chunk longer than its size", chunked("2\r\nabc\r\n0\r\n\r\n"), 400},
               {"chunk shorter than its size", chunked("4\r\nab\r\n0\r\n\r\n"), 400},
               {"chunk without line end", chunked("2\r\nab0\r\n\r\n"), 400},
               {"chunk ends in a line feed", chunked("2\r\nab\n0\r\n\r\n"), 400},
               {"chunk ends in two carriage returns", chunked("2\r\nab\r\r0\r\n\r\n"), 400},
               {"extension without name", chunked("2;\r\nab\r\n0\r\n\r\n"), 400},
               {"extension with line feed", chunked("2;a\nb\r\nab\r\n0\r\n\r\n"), 400},
               {"extension with carriage return", chunked("2;a\rb\r\nab\r\n0\r\n\r\n"), 400},
               {"extension with control character", chunked("2;a=\x01\r\nab\r\n0\r\n\r\n"), 400},
               {"extension without value", chunked("2;a=\r\nab\r\n0\r\n\r\n"), 400},
               {"extension with open quote", chunked("2;a=\"b\r\nab\r\n0\r\n\r\n"), 400},
               {"extension with something behind its quote", chunked("2;a=\"b\"c\r\nab\r\n0\r\n\r\n"), 400},
               {"extension with space", chunked("2 ;a\r\nab\r\n0\r\n\r\n"), 400},
               {"extension that never ends", chunked("2;" + std::string(300, 'a') + "\r\nab\r\n0\r\n\r\n"), 400},
               {"trailer with a length", chunked("2\r\nab\r\n0\r\nContent-Length: 5\r\n\r\n"), 400},
               {"trailer with a coding", chunked("2\r\nab\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
               {"trailer with a host", chunked("2\r\nab\r\n0\r\nHost: b\r\n\r\n"), 400},
               {"trailer with a key", chunked("2\r\nab\r\n0\r\nAuthorization: Bearer x\r\n\r\n"), 400},
               {"trailer without colon", chunked("2\r\nab\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n"), 400},
               {"folded trailer", chunked("2\r\nab\r\n0\r\nA: b\r\n c\r\n\r\n"), 400},
               {"trailer ends in a line feed", chunked("2\r\nab\r\n0\r\nA: b\n\r\n"), 400},
               {"last chunk ends in a line feed", chunked("2\r\nab\r\n0\n\n"), 400},
           });
}

void add_lines(Cases& all) {
  add(all, {
               {"request line ends in a line feed", "GET /x HTTP/1.1\nHost: a\r\n\r\n" + kHidden, 400},
               {"header ends in a line feed", "GET /x HTTP/1.1\r\nHost: a\n\r\n" + kHidden, 400},
               {"head ends in line feeds", "GET /x HTTP/1.1\r\nHost: a\r\nX: y\n\n" + kHidden, 400},
               {"head ends in CR CR LF", "GET /x HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n" + kHidden, 400},
               {"carriage return in a value", get("X: a\rb\r\n"), 400},
               {"NUL in a value", get(with_nul("X: a", "b\r\n")), 400},
               {"NUL in a name", get(with_nul("X", "Y: a\r\n")), 400},
               {"NUL in the target", line(with_nul("GET /x", "y HTTP/1.1")), 400},
               {"escape in a value", get("X: a\x1b[31m\r\n"), 400},
               {"DEL in a value", get("X: a\x7f\r\n"), 400},
               {"no colon", get("X y\r\n"), 400},
               {"empty name", get(": y\r\n"), 400},
               {"space before colon", get("X : y\r\n"), 400},
               {"space in a name", get("X Y: z\r\n"), 400},
               {"name with parentheses", get("X(y): z\r\n"), 400},
               {"name above ASCII", get("X\xc3\xa4: z\r\n"), 400},
               {"folded header", get("X: y\r\n z\r\n"), 400},
               {"first header folded", "GET /x HTTP/1.1\r\n Host: a\r\n\r\n" + kHidden, 400},
               {"blank line of a space", get("X: y\r\n \r\n"), 400},
               {"two empty lines in front", "\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n" + kHidden, 400},
               {"line feed in front", "\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n" + kHidden, 400},
               {"no host", "GET /x HTTP/1.1\r\n\r\n" + kHidden, 400},
               {"two hosts", "GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" + kHidden, 400},
               {"empty host", "GET /x HTTP/1.1\r\nHost:\r\n\r\n" + kHidden, 400},
               {"host with path", "GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n" + kHidden, 400},
               {"host with user", "GET /x HTTP/1.1\r\nHost: u@a\r\n\r\n" + kHidden, 400},
               {"host with space", "GET /x HTTP/1.1\r\nHost: a b\r\n\r\n" + kHidden, 400},
               {"list of hosts", "GET /x HTTP/1.1\r\nHost: a:1:2\r\n\r\n" + kHidden, 400},
               {"host with bad port", "GET /x HTTP/1.1\r\nHost: a:b\r\n\r\n" + kHidden, 400},
               {"unknown expectation", post("Content-Length: 3\r\nExpect: 200-maybe\r\n", "abc"), 417},
           });
}

void add_request_lines(Cases& all) {
  add(all, {
               {"HTTP/0.9", "GET /x\r\n" + kHidden, 400},
               {"HTTP/2.0", line("GET /x HTTP/2.0"), 505},
               {"HTTP/1.2", line("GET /x HTTP/1.2"), 505},
               {"HTTP/0.9 by name", line("GET /x HTTP/0.9"), 505},
               {"HTTP/3.0", line("GET /x HTTP/3.0"), 505},
               {"HTTP/1.10", line("GET /x HTTP/1.10"), 400},
               {"HTTP/1,1", line("GET /x HTTP/1,1"), 400},
               {"HTTP/01.1", line("GET /x HTTP/01.1"), 400},
               {"HTTP/1", line("GET /x HTTP/1"), 400},
               {"lower-case version", line("GET /x http/1.1"), 400},
               {"other protocol", line("GET /x HTCPCP/1.0"), 400},
               {"version with space behind", line("GET /x HTTP/1.1 "), 400},
               {"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
               {"two spaces before the target", line("GET  /x HTTP/1.1"), 400},
               {"two spaces behind the target", line("GET /x  HTTP/1.1"), 400},
               {"tab behind the method", line("GET\t/x HTTP/1.1"), 400},
               {"space in front", line(" GET /x HTTP/1.1"), 400},
               {"space in the target", line("GET /x /smuggled HTTP/1.1"), 400},
               {"method with NUL", line(with_nul("GE", "T /x HTTP/1.1")), 400},
               {"method with brackets", line("G{E}T /x HTTP/1.1"), 400},
               {"lower-case method", line("get /x HTTP/1.1"), 501},
               {"unknown method", line("BREW /x HTTP/1.1"), 501},
               {"TRACE", line("TRACE /x HTTP/1.1"), 501},
               {"CONNECT", line("CONNECT a:443 HTTP/1.1"), 501},
               {"endless method", line(std::string(100, 'A') + " /x HTTP/1.1"), 400},
               {"authority as target", line("GET a:80 HTTP/1.1"), 400},
               {"star as target", line("GET * HTTP/1.1"), 400},
               {"other scheme", line("GET ftp://a/x HTTP/1.1"), 400},
               {"absolute target without host", line("GET http:///x HTTP/1.1"), 400},
               {"absolute target with user", line("GET http://u@a/x HTTP/1.1"), 400},
               {"fragment", line("GET /x#y HTTP/1.1"), 400},
               {"backslash", line("GET /x\\y HTTP/1.1"), 400},
               {"bytes above ASCII", line("GET /x\xc3\xa4 HTTP/1.1"), 400},
               {"half a percent", line("GET /x%4 HTTP/1.1"), 400},
               {"percent with letters", line("GET /x%zz HTTP/1.1"), 400},
               {"encoded NUL", line("GET /x%00 HTTP/1.1"), 400},
               {"encoded line end", line("GET /x%0d%0aSet-Cookie:a HTTP/1.1"), 400},
               {"encoded bytes that are not UTF-8", line("GET /x%ff HTTP/1.1"), 400},
               {"overlong slash", line("GET /x%c0%af HTTP/1.1"), 400},
               {"endless target", line("GET /" + std::string(9000, 'a') + " HTTP/1.1"), 414},
               {"start of TLS", std::string("\x16\x03\x01\x02", 4) + std::string(1, '\0') + "\r\n\r\n", 400},
           });
}

void add_good(Cases& all) {
  const auto alone = [](std::string bytes) { return bytes.substr(0, bytes.size() - kHidden.size()); };
  add(all, {
               {"plain", alone(get("")), 200},
               {"one empty line in front", "\r\n" + alone(get("")), 200},
               {"absolute target", alone(line("GET http://a:80/x HTTP/1.1")), 200},
               {"absolute target without path", alone(line("GET HTTP://[::1]:80 HTTP/1.1")), 200},
               {"star for OPTIONS", alone(line("OPTIONS * HTTP/1.1")), 204},
               {"encoded slash", alone(line("GET /a%2Fb?c=%25 HTTP/1.1")), 200},
               {"value with tabs around", alone(get("X:\t y \t\r\n")), 200},
               {"value above ASCII", alone(get("X: \xc3\xa4\r\n")), 200},
               {"empty value", alone(get("X:\r\n")), 200},
               {"body", alone(post("Content-Length: 3\r\n", "abc")), 200},
               {"zeros before the length", alone(post("Content-Length: 0003\r\n", "abc")), 200},
               {"chunks", alone(chunked("2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n")), 200},
               {"chunks in capitals", alone(post("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n")), 200},
               {"extensions", alone(chunked("2;a;b=c;d=\"e\\\"f\"\r\nab\r\n0;last\r\n\r\n")), 200},
               {"trailers", alone(chunked("2\r\nab\r\n0\r\nChecksum: x\r\n\r\n")), 200},
               {"zeros before a chunk size", alone(chunked("0002\r\nab\r\n000\r\n\r\n")), 200},
               {"HTTP/1.0 without host", "GET /x HTTP/1.0\r\n\r\n", 200},
           });
}

Cases make_cases() {
  Cases all;
  add_lengths(all);
  add_codings(all);
  add_chunks(all);
  add_lines(all);
  add_request_lines(all);
  add_good(all);
  return all;
}

}  // namespace

const std::vector<SmugglingCase>& smuggling_cases() {
  static const Cases all = make_cases();
  return all;
}

std::string mutated_case(Random& random) {
  const Cases& cases = smuggling_cases();
  std::string bytes = cases[random.below(cases.size())].bytes;
  for (std::uint64_t edits = random.below(6); edits > 0; --edits) {
    const std::size_t at = random.below(bytes.size() + 1);
    if (random.chance(1, 3)) bytes.insert(at, 1, static_cast<char>(random.next()));
    else if (at < bytes.size() && random.chance(1, 2)) bytes[at] = static_cast<char>(random.next());
    else bytes.erase(at, 1 + random.below(3));
  }
  return bytes;
}

::testing::AssertionResult survives_mutated_case(std::uint16_t port, Random& random) {
  const std::string bytes = mutated_case(random);
  RawHttp client(port);
  if (!client.connected()) return ::testing::AssertionFailure() << "no connection";
  client.send(bytes);
  if (random.chance(1, 2)) {
    client.reset();
    return ::testing::AssertionSuccess();
  }
  client.end_sending();
  const auto rest = client.read_to_end();
  if (!rest) return ::testing::AssertionFailure() << "not closed after " << bytes;
  if (!rest->empty() && !rest->starts_with("HTTP/1.1 ")) return ::testing::AssertionFailure() << *rest << " after " << bytes;
  return ::testing::AssertionSuccess();
}

}  // namespace baton::test
