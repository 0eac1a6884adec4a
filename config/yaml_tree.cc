// SPDX-License-Identifier: Apache-2.0
// The only file that knows yaml-cpp. It is driven through its event interface: its Node keeps duplicate keys in silence,
// and its own limits come too late for hostile text. No exception leaves this file.
#include "config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

#include "config/utf8.h"

namespace baton {
namespace {

struct StopParsing {};  // thrown through yaml-cpp once a diagnostic says why, caught in parse_document

// Builds the tree from events. A stack of open collections; a finished node goes into the top one.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const Place& origin, Reporter& reporter) : origin_(origin), reporter_(reporter) {}

  bool has_document() const { return documents_ > 0; }
  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ == 0) return;
    reporter_.error(place(mark), "a second document", "one file holds one topology; remove the `---`");
    throw StopParsing{};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check_marks(mark, "", anchor);
    finish(make(YamlKind::kNull, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    reporter_.error(place(mark), "aliases are not accepted", "write the value out");
    throw StopParsing{};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    check_marks(mark, tag, anchor);
    YamlNode node = make(YamlKind::kScalar, mark);
    node.quoted = tag == "!";
    node.text = value;
    finish(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    check_marks(mark, tag, anchor);
    push(make(YamlKind::kSequence, mark));
  }
  void OnSequenceEnd() override { pop(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    check_marks(mark, tag, anchor);
    push(make(YamlKind::kMapping, mark));
  }
  void OnMapEnd() override { pop(); }

 private:
  struct Open {
    YamlNode node;
    bool key_wanted = true;  // of a mapping
    bool key_usable = false;
    std::string key;
    Place key_place;
    std::map<std::string, std::uint32_t> key_lines;  // of a mapping; keeps 10^5 hostile keys from costing their square
  };

  Place place(const YAML::Mark& mark) const {
    Place made = origin_;
    if (mark.line > 0) made.line += static_cast<std::uint32_t>(mark.line);
    if (mark.column > 0) made.column += static_cast<std::uint32_t>(mark.column);
    return made;
  }
  YamlNode make(YamlKind kind, const YAML::Mark& mark) const {
    YamlNode node;
    node.kind = kind;
    node.place = place(mark);
    return node;
  }
  void check_marks(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) reporter_.error(place(mark), "anchors are not accepted", "remove the `&name`");
    if (!tag.empty() && tag != "?" && tag != "!")
      reporter_.error(place(mark), "tags are not accepted", "remove it; each key has its own type");
  }
  void push(YamlNode node) {
    if (open_.size() >= kYamlDepthMax) {
      reporter_.error(node.place, "nested more than " + std::to_string(kYamlDepthMax) + " levels deep");
      throw StopParsing{};
    }
    open_.push_back(Open{std::move(node), true, false, {}, {}, {}});
  }
  void pop() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    finish(std::move(node));
  }
  void finish(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& top = open_.back();
    if (top.node.kind == YamlKind::kSequence) {
      top.node.items.push_back(std::move(node));
    } else if (top.key_wanted) {
      take_key(top, std::move(node));
    } else {
      if (node.kind == YamlKind::kNull) node.place = top.key_place;  // yaml-cpp puts it at whatever comes next
      if (top.key_usable) top.node.entries.push_back({std::move(top.key), top.key_place, std::move(node)});
      top.key_wanted = true;
    }
  }
  void take_key(Open& top, YamlNode node) {
    top.key_wanted = false;
    top.key_usable = false;
    top.key_place = node.place;
    if (node.kind != YamlKind::kScalar) {
      reporter_.error(node.place, "a key must be a word, this is " + std::string(describe(node)));
    } else if (node.text == "<<" && !node.quoted) {
      reporter_.error(node.place, "merge keys are not accepted", "write the keys out");
    } else if (const auto [first, fresh] = top.key_lines.emplace(node.text, node.place.line); !fresh) {
      reporter_.error(node.place, "duplicate key \"" + node.text + "\"", "first given on line " + std::to_string(first->second));
    } else {
      top.key_usable = true;
      top.key = std::move(node.text);
    }
  }

  Place origin_;
  Reporter& reporter_;
  std::vector<Open> open_;
  YamlNode root_;
  int documents_ = 0;
};

Place place_of_offset(std::string_view text, std::size_t offset, std::uint32_t source) {
  Place place{source, 1, 1};
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++place.line;
      place.column = 0;
    }
    ++place.column;
  }
  return place;
}

bool check_bytes(std::string_view text, std::uint32_t source, Reporter& reporter) {
  if (text.size() > kYamlBytesMax) {
    reporter.error({source, 1, 1}, "the file has " + std::to_string(text.size()) + " bytes; at most 1 MiB is read");
    return false;
  }
  if (const std::size_t bad = find_invalid_utf8(text); bad != std::string_view::npos) {
    reporter.error(place_of_offset(text, bad, source), "not UTF-8", "save the file as UTF-8");
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') || byte == 0x7f) {
      reporter.error(place_of_offset(text, i, source), "a control character");
      return false;
    }
  }
  return true;
}

// The parser's own words name the symptom; a tab in an indentation is the cause that nobody sees.
std::string hint_for(std::string_view text, int last_line) {
  std::size_t start = 0;
  for (int line = 0; line <= last_line && start < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view indentation = text.substr(start, std::min(text.find_first_not_of(" \t", start), end) - start);
    if (indentation.find('\t') != std::string_view::npos) return "line " + std::to_string(line + 1) + " starts with a tab; YAML wants spaces";
    start = end + 1;
  }
  return {};
}

std::optional<YamlNode> parse_document(std::string_view text, const Place& origin, Reporter& reporter) {
  TreeBuilder builder(origin, reporter);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const StopParsing&) {
    return std::nullopt;
  } catch (const YAML::Exception& problem) {
    Place place = origin;
    if (problem.mark.line > 0) place.line += static_cast<std::uint32_t>(problem.mark.line);
    if (problem.mark.column > 0) place.column += static_cast<std::uint32_t>(problem.mark.column);
    reporter.error(place, "not valid YAML: " + problem.msg, hint_for(text, problem.mark.line));
    return std::nullopt;
  }
  if (!builder.has_document()) {
    reporter.error(origin, "the file is empty", "start from examples/laptop.yaml");
    return std::nullopt;
  }
  return builder.take();
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  for (const Entry& entry : entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

std::string_view describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlKind::kNull: return "nothing";
    case YamlKind::kScalar: return "text";
    case YamlKind::kSequence: return "a list";
    case YamlKind::kMapping: return "a mapping";
  }
  return "something else";
}

std::optional<YamlNode> parse_yaml(std::string_view text, std::uint32_t source, Reporter& reporter) {
  if (!check_bytes(text, source, reporter)) return std::nullopt;
  return parse_document(text, Place{source, 1, 1}, reporter);
}

std::optional<YamlNode> parse_yaml_value(std::string_view text, const Place& place, Reporter& reporter) {
  if (text.size() > kYamlBytesMax || find_invalid_utf8(text) != std::string_view::npos) {
    reporter.error(place, "the value is not UTF-8, or longer than 1 MiB");
    return std::nullopt;
  }
  if (!text.empty() && (text[0] == '[' || text[0] == '{')) return parse_document(text, place, reporter);
  YamlNode node;
  node.kind = YamlKind::kScalar;
  node.text = std::string(text);
  node.place = place;
  return node;
}

}  // namespace baton
