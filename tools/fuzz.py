#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzz targets that preset `fuzz` built; `./check fuzz` builds them and calls this.

    tools/fuzz.py [--seconds 30] [--target NAME] [--jobs 2] [--ledger yes]

Each target searches for --seconds of wall time from tests/fuzz/corpus/NAME and what earlier runs found (build/fuzz/found/NAME).
The exit status is 1 if one fails; the input that made it fail lies where the output says. --ledger yes adds a line per target to
tests/fuzz/ledger.tsv. docs/fuzzing.md says what to do with a failure.
"""
import argparse
import concurrent.futures
import datetime
import glob
import os
import re
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LEDGER = os.path.join(ROOT, "tests/fuzz/ledger.tsv")
lock = threading.Lock()


def commit():
    git = ["git", "-C", ROOT]
    head = subprocess.run(git + ["rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip() or "unknown"
    changed = subprocess.run(git + ["status", "--porcelain"], capture_output=True, text=True).stdout.strip()
    return head + ("-changed" if changed else "")


def was_starved(target, path, environment):
    """libFuzzer's time limit is of the wall: beside busier programs an input may only have waited. Whether it is quick by itself."""
    if not os.path.basename(path).startswith("timeout-"):
        return False
    process = subprocess.Popen([os.path.join(ROOT, "build/fuzz/bin/fuzz_" + target), "-timeout=600", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    quick = process.returncode == 0 and usage.ru_utime + usage.ru_stime < 5
    if quick:
        os.remove(path)
    return quick


def run(target, seconds):
    """(target, CPU seconds, executions, paths of inputs that fail, what was printed)."""
    found, failures = os.path.join(ROOT, "build/fuzz/found", target), os.path.join(ROOT, "build/fuzz/failures", target)
    os.makedirs(found, exist_ok=True)
    os.makedirs(failures, exist_ok=True)
    before = set(glob.glob(failures + "/*"))
    command = [os.path.join(ROOT, "build/fuzz/bin/fuzz_" + target), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
               "-max_len=16384", "-print_final_stats=1", "-artifact_prefix=" + failures + "/"]
    dictionary = os.path.join(ROOT, "tests/fuzz/dictionaries", target + ".dict")
    if os.path.exists(dictionary):
        command.append("-dict=" + dictionary)
    # The system's libraries are not instrumented, so what they do to a shared std::vector looks like an overflow.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_container_overflow=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    if os.path.isdir("/dev/shm"):
        environment["TMPDIR"] = "/dev/shm"  # files of a target in memory
    log = os.path.join(failures + ".log")
    with open(log, "w", errors="replace") as out:
        process = subprocess.Popen(command + [found, os.path.join(ROOT, "tests/fuzz/corpus", target)], stdout=out, stderr=out, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    with open(log, errors="replace") as stream:
        text = stream.read()
    executions = re.findall(r"stat::number_of_executed_units: (\d+)", text)
    failed = sorted(set(glob.glob(failures + "/*")) - before)
    if process.returncode != 0 and not failed:
        failed = [log]
    failed = [path for path in failed if not was_starved(target, path, environment)]
    return target, usage.ru_utime + usage.ru_stime, int(executions[-1]) if executions else 0, failed, text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("BATON_FUZZ_SECONDS", 30)))
    parser.add_argument("--target", default=os.environ.get("BATON_FUZZ_TARGET", ""))
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("BATON_FUZZ_JOBS", os.cpu_count() or 1)))
    parser.add_argument("--ledger", default=os.environ.get("BATON_FUZZ_LEDGER", "no"), choices=("yes", "no"))
    options = parser.parse_args()
    targets = sorted(os.path.basename(path)[:-3] for path in glob.glob(os.path.join(ROOT, "tests/fuzz/*.cc")) if not path.endswith("/main.cc"))
    if options.target and options.target not in targets:
        sys.exit(f"no target {options.target}; there are {', '.join(targets)}")
    chosen = [options.target] if options.target else targets
    version, day, any_failed = commit(), datetime.date.today().isoformat(), False

    def one(target):
        result = run(target, options.seconds)
        with lock:
            name, cpu_seconds, executions, failed, text = result
            print(f"verdict: fuzz {name}: {executions} inputs in {cpu_seconds:.0f} CPU s: " +
                  ("no failure" if not failed else "FAILED, reproduce with build/fuzz/bin/fuzz_" + name + " " + os.path.relpath(failed[0])), flush=True)
            if failed:
                print("\n".join(text.splitlines()[-40:]), flush=True)
            if options.ledger == "yes":
                with open(LEDGER, "a") as ledger:
                    ledger.write(f"{day}\t{name}\t{cpu_seconds:.0f}\t{executions}\t{version}\t{len(failed)}\n")
        return bool(failed)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        any_failed = any(list(pool.map(one, chosen)))
    sys.exit(1 if any_failed else 0)


main()
