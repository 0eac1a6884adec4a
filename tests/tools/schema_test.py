#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/topology.schema.json takes every good topology and refuses what the schema can tell is bad.

    tests/tools/schema_test.py ROOT        exit status 77: skipped, for want of the Python packages jsonschema and PyYAML
"""
import glob
import json
import os
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

root = sys.argv[1]
with open(os.path.join(root, "docs/topology.schema.json"), encoding="utf-8") as file:
    validator = jsonschema.Draft7Validator(json.load(file))
failures = []


def errors_of(path):
    with open(path, encoding="utf-8") as file:
        return [error.message for error in validator.iter_errors(yaml.safe_load(file))]


good = glob.glob(os.path.join(root, "examples/*.yaml")) + glob.glob(os.path.join(root, "tests/unit/config/good/*.yaml"))
for path in good:
    failures += [f"{path}: {message}" for message in errors_of(path)]
for name in ("unknown_key", "bad_enums", "ranges", "wrong_types", "units", "missing_required"):
    if not errors_of(os.path.join(root, "tests/unit/config/bad", name + ".yaml")):
        failures.append(f"{name}.yaml passes, but Baton refuses it")
for failure in failures:
    print(failure)
print(f"{len(good)} good files, {len(failures)} failures")
sys.exit(1 if failures or not good else 0)
