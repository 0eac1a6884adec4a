# SPDX-License-Identifier: Apache-2.0
"""Reference renderings of chat templates by jinja2, set up as transformers' utils/chat_template_utils.py sets it up.

    python tools/golden/make_chat_template_golden.py own tests/golden/data     # chat_template.jsonl, from chat_template_cases.py
    python tools/golden/make_chat_template_golden.py public .deps/chat_templates

"public" renders templates of public models, which are not ours to commit: those that the source package llama-cpp-python carries.
It fetches that package with pip, once, and writes DEST/cases.jsonl. Needs jinja2 3.1. A line of either file is a case: name,
template, bos, eos, messages, tools, variables, add_generation_prompt, now, and "expected" (text) or "error" (what jinja2 said).
"""
import datetime
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

import jinja2
import jinja2.ext
import jinja2.sandbox

PACKAGE = "llama-cpp-python"
VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
NOW = 1753967405  # 2025-07-31 13:10:05 UTC


class GenerationTag(jinja2.ext.Extension):
    """{% generation %}, as transformers' AssistantTracker: the body, in a frame of its own."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None).strftime(form)

    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = strftime_now
    return made


def render(case):
    """The case with what jinja2 makes of it."""
    case = {"bos": "<s>", "eos": "</s>", "messages": [], "tools": None, "variables": {}, "add_generation_prompt": False, "now": NOW, **case}
    try:
        template = environment().from_string(case["template"])
        case["expected"] = template.render(**{
            "documents": None, **case["variables"], "messages": case["messages"], "tools": case["tools"],
            "add_generation_prompt": case["add_generation_prompt"], "bos_token": case["bos"], "eos_token": case["eos"]})
        case["expected"].encode()
    except Exception as error:  # whatever it is: the template does not fit the conversation
        case.pop("expected", None)
        case["error"] = f"{type(error).__name__}: {error}"
    return case


WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city, \"now\" & then <b>\n second line",
    "parameters": {"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "Its name, e.g. Zürich"},
        "days": {"type": "integer", "default": 1, "minimum": 0}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "exact": {"type": ["boolean", "null"]}, "places": {"type": "array", "items": {"type": "string"}}}},
    "return": {"type": "string"}}}
ADD = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {
    "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}}}


def call(name, arguments, number):
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": arguments}}


def conversations():
    """name -> what differs from a case's defaults."""
    system = {"role": "system", "content": "You are terse."}
    hello = {"role": "user", "content": "Hello"}
    asked = {"role": "user", "content": "Weather in Zürich?"}
    used = [system, asked,
            {"role": "assistant", "content": "", "tool_calls": [call("get_weather", {"city": "Zürich", "days": 2, "exact": True, "places": []}, 1)]},
            {"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": "{\"sky\": \"☀\", \"degrees\": 21.5}"}]
    return {
        "one": {"messages": [hello], "add_generation_prompt": True},
        "system": {"messages": [system, hello], "add_generation_prompt": True},
        "turns": {"messages": [system, hello, {"role": "assistant", "content": "Hi! "}, {"role": "user", "content": " And\n\nnow? "},
                               {"role": "assistant", "content": "Later."}, {"role": "user", "content": "ok"}], "add_generation_prompt": True},
        "closed": {"messages": [hello, {"role": "assistant", "content": "Bye"}]},
        "unicode": {"messages": [{"role": "user", "content": "Grüße 你好 👩‍👩‍👧 <|im_end|> {{ x }} 'q' \"d\" \\ \t\u00a0"}], "add_generation_prompt": True},
        "thought": {"messages": [hello, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nSo."}, {"role": "user", "content": "more"}],
                    "add_generation_prompt": True},
        "reasoned": {"messages": [hello, {"role": "assistant", "reasoning_content": "hm", "content": "So."}, {"role": "user", "content": "more"}],
                     "add_generation_prompt": True},
        "tools": {"messages": [system, asked], "tools": [WEATHER, ADD], "add_generation_prompt": True},
        "called": {"messages": used, "tools": [WEATHER, ADD], "add_generation_prompt": True},
        "answered": {"messages": used + [{"role": "assistant", "content": "Sunny, 21.5 degrees."}, {"role": "user", "content": "Thanks"}],
                     "tools": [WEATHER], "add_generation_prompt": True},
        "thinking off": {"messages": [system, hello], "variables": {"enable_thinking": False, "thinking": False}, "add_generation_prompt": True},
        "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]}],
                  "add_generation_prompt": True},
        "text calls": {"messages": [asked, {"role": "assistant", "content": None, "tool_calls": [call("add", "{\"a\": 1, \"b\": 2}", 2)]},
                                    {"role": "tool", "tool_call_id": "call00002", "name": "add", "content": "3"}], "tools": [ADD]},
        "alternation broken": {"messages": [hello, hello], "add_generation_prompt": True},
    }


def fetch_templates(folder):
    """Puts the package's templates into folder/templates, unless they are there."""
    stamp = os.path.join(folder, ".sha256")
    if os.path.exists(stamp) and open(stamp).read() == SHA256:
        return
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        # pip asks a source package for its name and version before it hands it over, which takes the package's build tool.
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run(pip + ["install", "scikit-build-core"], check=True)
        subprocess.run(pip + ["download", "--no-deps", "--no-build-isolation", "--no-binary", PACKAGE, "--dest", work,
                              f"{PACKAGE}=={VERSION}"], check=True)
        archive = glob.glob(os.path.join(work, "*.tar.gz"))[0]
        with open(archive, "rb") as stream:
            found = hashlib.sha256(stream.read()).hexdigest()
        if found != SHA256:
            sys.exit(f"the package's SHA-256 is {found}, expected {SHA256}")
        shutil.rmtree(os.path.join(folder, "templates"), ignore_errors=True)
        os.makedirs(os.path.join(folder, "templates"))
        with tarfile.open(archive) as package:
            for member in package:
                if "/vendor/llama.cpp/models/templates/" in member.name and member.name.endswith(".jinja"):
                    with open(os.path.join(folder, "templates", os.path.basename(member.name)), "wb") as out:
                        out.write(package.extractfile(member).read())
    with open(stamp, "w") as out:
        out.write(SHA256)


def write(path, cases):
    with open(path + ".new", "w", encoding="utf-8") as out:
        for case in cases:
            out.write(json.dumps(case, ensure_ascii=False) + "\n")
    os.replace(path + ".new", path)
    failed = sum("error" in case for case in cases)
    print(f"{path}: {len(cases)} cases, {failed} of them errors")


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("own", "public"):
        sys.exit(__doc__)
    folder = sys.argv[2]
    if sys.argv[1] == "own":
        import chat_template_cases
        write(os.path.join(folder, "chat_template.jsonl"), [render(case) for case in chat_template_cases.cases()])
        return
    fetch_templates(folder)
    cases = []
    for path in sorted(glob.glob(os.path.join(folder, "templates", "*.jinja"))):
        with open(path, encoding="utf-8") as stream:
            template = stream.read()
        for name, conversation in conversations().items():
            cases.append(render({"name": f"{os.path.basename(path)[:-6]} / {name}", "template": template, **conversation}))
    write(os.path.join(folder, "cases.jsonl"), cases)


main()
