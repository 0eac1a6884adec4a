#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that every rule of tools/tidy.py fires on a small bad snippet, and stays silent on good ones."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools"))
import tidy  # noqa: E402

HEAD = "// SPDX-License-Identifier: Apache-2.0\n"
HEADER_HEAD = HEAD + "// What it is.\n#pragma once\n"


def rules(path, text):
    return [complaint.rule for complaint in tidy.check_text(path, text)]


class Heads(unittest.TestCase):
    def test_licence_line(self):
        self.assertEqual(rules("runtime/base/a.cc", "int a;\n"), ["licence"])
        self.assertEqual(rules("tools/a.sh", "#!/bin/sh\necho\n"), ["licence"])
        self.assertEqual(rules("quickstart", "#!/usr/bin/env bash\n# SPDX-License-Identifier: Apache-2.0\n"), [])

    def test_pragma_once(self):
        self.assertEqual(rules("runtime/base/a.h", HEAD + "int a();\n"), ["pragma-once"])
        self.assertEqual(rules("runtime/base/a.h", HEADER_HEAD), [])

    def test_unfinished(self):
        self.assertEqual(rules("docs/a.md", "# T\n" + "TO" + "DO later\n"), ["unfinished"])
        self.assertEqual(rules("config/a.cc", HEAD + "// FIX" + "ME\n"), ["unfinished"])


class Sizes(unittest.TestCase):
    def test_file_length(self):
        self.assertEqual(rules("config/a.cc", HEAD + "int a;\n" * 600), ["file-length"])
        self.assertEqual(rules("config/a.cc", HEAD + "int a;\n" * 599), [])
        self.assertEqual(rules("kernels/cuda/a.cu", HEAD + "int a;\n" * 799), [])

    def body(self, head, lines):
        return HEAD + "namespace baton {\n" + head + "\n" + "  f();\n" * (lines - 2) + "}\n}  // namespace baton\n"

    def test_function_length(self):
        for head in ("void f() {", "Result<A> B::g(int a, std::function<void()> b) const noexcept {",
                     "B::B(int a) : a_{a}, b_(std::move(a)) {", "template <class T>\nauto f(T t) -> std::vector<T> {",
                     "bool operator==(const A& a) const override {", "TEST(Suite, Case) {"):
            extra = head.count("\n")
            self.assertEqual(rules("config/a.cc", self.body(head, 71)), ["function-length"], head)
            self.assertEqual(rules("config/a.cc", self.body(head, 70 - extra)), [], head)

    def test_function_length_inside_classes(self):
        text = HEAD + "class A final : public B<int> {\n public:\n  void f() {\n" + "  g();\n" * 70 + "  }\n};\n"
        self.assertEqual(rules("config/a.cc", text), ["function-length"])

    def test_long_classes_tables_and_enums_are_no_functions(self):
        for head in ("class A : public B {", "struct C final {", "enum class E : std::uint8_t {",
                     "constexpr std::array<int, 99> kTable = {", "namespace detail {"):
            self.assertEqual(rules("config/a.cc", self.body(head, 99)), [], head)

    def test_braces_in_text_do_not_count(self):
        text = HEAD + 'void f() {\n  g("{", \'{\', R"({)");  // {\n}\n' + "int a;\n" * 90
        self.assertEqual(rules("config/a.cc", text), [])

    def test_python_functions(self):
        text = "# SPDX-License-Identifier: Apache-2.0\ndef f():\n" + "    g()\n" * 70
        self.assertEqual(rules("tools/a.py", text), ["function-length"])


class FolderOrder(unittest.TestCase):
    def one(self, path, target):
        return rules(path, HEAD + f'#include "{target}"\n')

    def test_upwards_is_wrong_and_downwards_right(self):
        for low, high in zip(tidy.FOLDERS, tidy.FOLDERS[1:]):
            self.assertEqual(self.one(f"{low}/a.cc", f"{high}/b.h"), ["folder-order"])
            self.assertEqual(self.one(f"{high}/a.cc", f"{low}/b.h"), [])
            self.assertEqual(self.one(f"{low}/a.cc", f"{low}/b.h"), [])

    def test_base_stands_alone(self):
        for part in ("actor", "link"):
            self.assertEqual(self.one("runtime/base/a.cc", f"runtime/{part}/b.h"), ["folder-order"])
            self.assertEqual(self.one(f"runtime/{part}/a.cc", "runtime/base/b.h"), [])

    def test_nobody_includes_tests_tools_examples(self):
        for folder in ("tests", "tools", "examples"):
            self.assertEqual(self.one("launcher/a.cc", f"{folder}/b.h"), ["folder-order"])
        self.assertEqual(self.one("tests/unit/a/b_test.cc", "tests/support/b.h"), [])
        self.assertEqual(self.one("tests/unit/a/b_test.cc", "launcher/b.h"), [])

    def test_paths_from_the_root(self):
        self.assertEqual(self.one("config/a.cc", "units.h"), ["folder-order"])


class ThirdParty(unittest.TestCase):
    def test_each_library_has_its_place(self):
        for header, place in (("zmq.h", "runtime/link/zmq_channel.cc"), ("boost/asio.hpp", "runtime/actor/real_loop.cc"),
                              ("boost/json.hpp", "runtime/base/json.cc"), ("boost/beast.hpp", "server/http_server.cc"), ("capnp/message.h", "protocol/codec.cc"),
                              ("kj/array.h", "protocol/codec.cc"), ("protocol/control.capnp.h", "protocol/codec.cc"),
                              ("yaml-cpp/yaml.h", "config/yaml_tree.cc"), ("spdlog/spdlog.h", "runtime/base/log.cc"),
                              ("CLI/CLI.hpp", "launcher/cli.cc"), ("ucp/api/ucp.h", "runtime/link/ucx_data_plane.cc"),
                              ("utf8proc.h", "models/unicode.cc"), ("xxhash.h", "runtime/base/hash.cc"),
                              ("cuda_runtime.h", "kernels/cuda/device.cc"), ("cublasLt.h", "kernels/cuda/matmul_library.cc")):
            self.assertEqual(rules(place, HEAD + f"#include <{header}>\n"), [], header)
            self.assertEqual(rules("scheduling/other.cc", HEAD + f"#include <{header}>\n"), ["third-party"], header)

    def test_every_library_of_the_table_is_tested_above(self):
        self.assertEqual(len(tidy.THIRD_PARTY), 12)


class Determinism(unittest.TestCase):
    BAD = ("auto t = std::chrono::steady_clock::now();", "auto t = Clock_clock :: now();", "int a = rand();",
           "std::random_device d;", "std::thread t;", "std::mutex m;", "std::this_thread::sleep_for(d);", "usleep(3);",
           'auto e = std::getenv("A");', "static int count = 0;", "static std::map<int, int> table;", "thread_local int a;",
           "std::unordered_map<int, int> m;", "std::unordered_set<int> s;", "std::condition_variable c;", "time(nullptr);")
    GOOD = ("static constexpr int kA = 1;", "static int twice(int a);", "const Time t = out.now();", "operand(3);",
            "static const char kName[] = \"a\";", "// std::mutex in prose", "int a = random();")

    def test_bad_lines(self):
        for path in ("actors/a.cc", "scheduling/a.cc", "kvstore/sub/a.cc", "runtime/actor/a.cc"):
            for line in self.BAD:
                self.assertEqual(rules(path, HEAD + line + "\n"), ["determinism"], f"{path}: {line}")

    def test_good_lines(self):
        for line in self.GOOD:
            self.assertEqual(rules("actors/a.cc", HEAD + line + "\n"), [], line)

    def test_elsewhere_and_in_the_real_loop_all_is_allowed(self):
        for path in ("runtime/actor/real_loop.cc", "runtime/link/a.cc", "launcher/a.cc"):
            for line in self.BAD:
                self.assertEqual(rules(path, HEAD + line + "\n"), [], line)


class WholeTree(unittest.TestCase):
    def test_walks_names_file_and_line_and_skips_build_outputs(self):
        with tempfile.TemporaryDirectory() as root:
            for path in ("config/a.cc", "build/dev/a.cc", ".git/a.cc"):
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as out:
                    out.write(HEAD + '#include "launcher/a.h"\n')
            found = tidy.check_tree(root)
            self.assertEqual(len(found), 1)
            self.assertTrue(str(found[0]).startswith("config/a.cc:2: folder-order: config/ includes launcher/a.h (fix: "))


if __name__ == "__main__":
    unittest.main()
