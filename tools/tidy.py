#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Style as a test: folder order, third-party confinement, sizes, heads of files, and determinism of the actors.

    tools/tidy.py [ROOT]        prints `file:line: rule: what (fix: how)`; exit status 1 if there is any complaint

Reads text only, needs nothing but Python 3, and takes well under a second. tests/tools/tidy_test.py proves that
each rule fires. A new rule needs a snippet there.
"""
import ast
import fnmatch
import os
import re
import sys
from typing import Iterator, List, NamedTuple, Tuple

# A folder includes itself and those before it. docs/architecture.md says what each is.
FOLDERS = ["runtime", "kernels", "config", "protocol", "models", "kvstore", "scheduling", "engine", "actors", "server",
           "benchmarks", "launcher"]
NOBODY_INCLUDES = ["tests", "tools", "examples"]
# Inside runtime/: what each part may include. base stands alone.
RUNTIME_PARTS = {"base": {"base"}, "actor": {"base", "actor", "link"}, "link": {"base", "actor", "link"},
                 "journal": {"base", "actor", "journal"}}

# Library -> (its headers, the only files that may include them).
THIRD_PARTY = {
    "CUDA": (r"cuda[_a-zA-Z0-9]*\.h|cublas.*\.h", ["kernels/cuda/*"]),
    "zmq": (r"zmq(_addon)?\.h(pp)?|zmq/.*", ["runtime/link/zmq_*.cc", "benchmarks/zmq_peer.cc"]),
    "boost/asio": (r"boost/asio.*", ["runtime/actor/real_loop.cc", "server/*"]),
    "boost/beast": (r"boost/beast.*", ["server/*"]),
    "boost/json": (r"boost/json.*", ["runtime/base/json.*", "models/chat_*", "server/*", "launcher/*.cc", "tests/*/*openai*/*", "tests/fuzz/openai*"]),
    "capnp/kj": (r"(capnp|kj)/.*|protocol/.*\.capnp\.h", ["protocol/codec*.cc", "protocol/codec_detail.h"]),
    "yaml-cpp": (r"yaml-cpp/.*", ["config/yaml_tree.cc"]),
    "spdlog": (r"(spdlog|fmt)/.*", ["runtime/base/log.cc"]),
    "CLI11": (r"CLI/.*", ["launcher/cli*.cc", "launcher/cli_parts.h"]),
    "UCX": (r"(ucp|ucs|uct|ucm)/.*", ["runtime/link/ucx_*.cc", "runtime/link/ucx_library.h"]),
    "utf8proc": (r"utf8proc\.h", ["models/unicode.cc"]),
    "xxHash": (r"xxh(ash|3)?\.h", ["runtime/base/hash.cc"]),
}

FILE_LINES_MAX = 600
CUDA_FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70

DETERMINISTIC = ["actors/*", "scheduling/*", "kvstore/*", "runtime/actor/*"]
DETERMINISTIC_EXCEPT = ["runtime/actor/real_loop*"]
BANNED = [
    (r"\b\w*_clock\s*::\s*now\b", "reads a clock", "take the time from the outbox"),
    (r"\b(clock_gettime|gettimeofday|time)\s*\(\s*(NULL|nullptr|0|&|CLOCK_)", "reads a clock", "take the time from the outbox"),
    (r"(?<![\w.>])s?rand(_r)?\s*\(", "draws from a global random source", "use random_at(key, counter)"),
    (r"\brandom_device\b|\bmt19937", "draws from a random source of its own", "use random_at(key, counter)"),
    (r"\bstd\s*::\s*(j?thread|async)\b", "starts a thread", "hand the work to an Executor"),
    (r"\b(\w+_)?mutex\b|\bcondition_variable\b", "locks", "an actor has one thread; post to it"),
    (r"\b(u|nano)?sleep(_for|_until)?\s*\(", "sleeps", "set a timer through the outbox"),
    (r"\b(secure_)?getenv\b", "reads the environment", "take it as an option, from the topology"),
    (r"\bunordered_(multi)?(map|set)\b", "uses a container with no fixed order", "std::map, std::set or a sorted vector"),
    (r"\bthread_local\b", "keeps state per thread", "make it a member"),
]

CPP = (".h", ".cc", ".cu", ".cuh")
TEXT = CPP + (".py", ".sh", ".cmake", ".capnp", ".yaml", ".yml", ".md", ".txt")
SKIPPED_FOLDERS = {".git", ".deps", "build", "__pycache__", "third_party"}


class Complaint(NamedTuple):
    path: str
    line: int
    rule: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what} (fix: {self.fix})"


def files(root: str) -> Iterator[str]:
    """Paths relative to root, sorted; build outputs and hidden folders other than .ci apart."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(s for s in subfolders if s not in SKIPPED_FOLDERS and (not s.startswith(".") or s == ".ci"))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def matches(path: str, patterns: List[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def strip_cpp(text: str) -> str:
    """Comments and the insides of literals become spaces; line breaks stay, so that line numbers do."""
    def blank(match: "re.Match[str]") -> str:
        found = match.group(0)
        if found[0] == "/":
            return re.sub(r"[^\n]", " ", found)
        return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]
    pattern = (r"//[^\n]*|/\*.*?\*/"
               r"|R\"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)\""
               r"|\"(?:\\.|[^\"\\\n])*\""
               r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'")
    return re.sub(pattern, blank, text, flags=re.S)


# ---- rules over one file ---------------------------------------------------------------------------------------------


def check_head(path: str, lines: List[str]) -> Iterator[Complaint]:
    """The licence line, and #pragma once in headers."""
    if not path.endswith(CPP + (".py", ".sh", ".capnp")) and not (lines and lines[0].startswith("#!")):
        return
    line = 1 if lines and lines[0].startswith("#!") else 0
    if len(lines) <= line or "SPDX-License-Identifier: Apache-2.0" not in lines[line]:
        yield Complaint(path, line + 1, "licence", "no SPDX line", "`SPDX-License-Identifier: Apache-2.0` as a comment here")
    if path.endswith((".h", ".cuh")) and "#pragma once" not in lines:
        yield Complaint(path, 1, "pragma-once", "header without #pragma once", "add it below the opening comment")


def check_length(path: str, lines: List[str]) -> Iterator[Complaint]:
    if not path.endswith(CPP + (".py", ".sh")):
        return
    limit = CUDA_FILE_LINES_MAX if path.endswith((".cu", ".cuh")) else FILE_LINES_MAX
    if len(lines) > limit:
        yield Complaint(path, limit + 1, "file-length", f"{len(lines)} lines, at most {limit}", "split it by what it does")


def check_unfinished(path: str, lines: List[str]) -> Iterator[Complaint]:
    for number, line in enumerate(lines, 1):
        found = re.search(r"\b(TODO|FIXME|XXX)\b", line)
        if found:
            yield Complaint(path, number, "unfinished", f"{found.group(1)} marker", "finish it, or say what is not supported")


def includes(lines: List[str]) -> Iterator[Tuple[int, str, bool]]:
    for number, line in enumerate(lines, 1):
        found = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if found:
            yield number, found.group(2), found.group(1) == '"'


def check_folder_order(path: str, lines: List[str]) -> Iterator[Complaint]:
    here = path.split("/")
    for number, target, quoted in includes(lines):
        there = target.split("/")
        if there[0] in NOBODY_INCLUDES and here[0] != there[0]:
            yield Complaint(path, number, "folder-order", f"includes {target}", f"nothing includes {there[0]}/; move it")
        if here[0] not in FOLDERS:
            continue
        if there[0] in FOLDERS and FOLDERS.index(there[0]) > FOLDERS.index(here[0]):
            yield Complaint(path, number, "folder-order", f"{here[0]}/ includes {target}",
                            f"{there[0]}/ is above {here[0]}/: turn the dependency round or move the declaration down")
        elif quoted and there[0] not in FOLDERS + NOBODY_INCLUDES:
            yield Complaint(path, number, "folder-order", f'"{target}" does not start with a folder', "path from the root, or <…>")
        if here[0] == "runtime" and there[0] == "runtime" and len(here) > 2 and len(there) > 2:
            if there[1] not in RUNTIME_PARTS.get(here[1], {here[1], "base"}):
                yield Complaint(path, number, "folder-order", f"runtime/{here[1]}/ includes {target}", "base stands alone")


def check_third_party(path: str, lines: List[str]) -> Iterator[Complaint]:
    for number, target, _ in includes(lines):
        for library, (headers, allowed) in THIRD_PARTY.items():
            if re.fullmatch(headers, target) and not matches(path, allowed):
                yield Complaint(path, number, "third-party", f"includes <{target}> of {library}",
                                f"only {', '.join(allowed)} may; go through its interface")


def check_determinism(path: str, stripped: List[str]) -> Iterator[Complaint]:
    if not matches(path, DETERMINISTIC) or matches(path, DETERMINISTIC_EXCEPT):
        return
    for number, line in enumerate(stripped, 1):
        for pattern, what, fix in BANNED:
            if re.search(pattern, line):
                yield Complaint(path, number, "determinism", what, fix)
        found = re.match(r"\s*(inline\s+)?static\s+(?!const\b|constexpr\b|consteval\b|inline\s+const)(inline\s+)?([^;={(]*)([;={(]|$)", line)
        if found and found.group(4) != "(":
            yield Complaint(path, number, "determinism", "static mutable state", "make it a member, or constexpr")


# ---- length of functions ---------------------------------------------------------------------------------------------


def kind_of_scope(head: str) -> str:
    """What an opening brace opens, told by the text before it: namespace (or class), function, or other."""
    head = head.strip()
    if re.search(r"\b(namespace|extern)\b[^()=;]*$", head):
        return "namespace"
    if re.search(r"\benum\b[^()]*$", head):
        return "other"
    plain = re.sub(r"^(template\s*<.*>|requires\b.*?|\s|alignas\([^)]*\)|\[\[[^\]]*\]\])*(?=class|struct|union)", "", head, flags=re.S)
    if re.match(r"(class|struct|union)\b", plain) and not re.search(r"\w\s*\(", re.sub(r"\balignas\s*\([^)]*\)", "", plain)):
        return "namespace"
    if re.search(r"\)[^()=]*$", head) or re.search(r"\)\s*(noexcept(\([^)]*\))?|const|override|final|->[^={}]*|&|\s)*:[^:].*$", head, re.S):
        return "function"
    return "other"


def is_member_initializer(head: str) -> bool:
    """`Foo(int a) : a_{` : the brace belongs to a_, the body is still to come."""
    return bool(re.search(r"\)\s*(noexcept(\([^)]*\))?\s*)?:[^:]", head, re.S) and re.search(r"[\w>]\s*$", head))


def skip_braces(text: str, start: int) -> int:
    depth = 0
    for position in range(start, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return len(text) - 1


def cpp_functions(stripped: str) -> Iterator[Tuple[int, int]]:
    """(first line of the signature, number of lines) of each outermost function body."""
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), stripped, flags=re.M)
    head_start = position = 0
    while position < len(text):
        char = text[position]
        if char in ";}" or (char == ":" and re.search(r"\b(public|private|protected)\s*$", text[head_start:position])):
            head_start = position + 1
        elif char == "{":
            head = text[head_start:position]
            if kind_of_scope(head) == "namespace":
                head_start = position + 1
            elif is_member_initializer(head):
                position = skip_braces(text, position)
            else:
                end = skip_braces(text, position)
                if kind_of_scope(head) == "function":
                    first = head_start + len(head) - len(head.lstrip())
                    yield text.count("\n", 0, first) + 1, text.count("\n", first, end) + 1
                    head_start = end + 1
                position = end
        position += 1


def python_functions(text: str) -> Iterator[Tuple[int, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def check_functions(path: str, text: str, stripped: str) -> Iterator[Complaint]:
    if path.endswith(CPP):
        found = cpp_functions(stripped)
    elif path.endswith(".py"):
        found = python_functions(text)
    else:
        return
    for line, length in found:
        if length > FUNCTION_LINES_MAX:
            yield Complaint(path, line, "function-length", f"{length} lines, at most {FUNCTION_LINES_MAX}", "split it into named steps")


# ---- all together ----------------------------------------------------------------------------------------------------


def check_text(path: str, text: str) -> List[Complaint]:
    """Every rule over one file, `path` relative to the root with forward slashes."""
    lines = text.splitlines()
    found = list(check_head(path, lines)) + list(check_length(path, lines))
    if not path.startswith(("tools/tidy.py", "tests/tools/tidy_test.py")):
        found += check_unfinished(path, lines)
    if path.endswith(CPP):
        stripped = strip_cpp(text)
        found += check_folder_order(path, lines)
        found += check_third_party(path, lines)
        found += check_determinism(path, stripped.splitlines())
        found += check_functions(path, text, stripped)
    elif path.endswith(".py"):
        found += check_functions(path, text, "")
    return found


def check_tree(root: str) -> List[Complaint]:
    found: List[Complaint] = []
    for path in files(root):
        full = os.path.join(root, path)
        if os.path.islink(full):
            continue
        with open(full, "rb") as stream:
            script = stream.read(2) == b"#!"
        if not (script or path.endswith(TEXT)) or path.startswith("tests/unit/config/"):
            if not path.endswith(CPP):
                continue  # bad topologies are test data, and binary files are nobody's style
        with open(full, encoding="utf-8", errors="replace") as stream:
            found += check_text(path, stream.read())
    return found


def main() -> int:
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = check_tree(root)
    for complaint in sorted(found):
        print(complaint)
    print(f"tidy: {len(found)} complaint{'' if len(found) == 1 else 's'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
