#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches what the tests of the HTTP API check it with, into .deps: OpenAI's Python SDK (PyPI, Apache-2.0) in an environment of its
# own, and promtool (from Debian's package prometheus, which is only unpacked). Silent and quick when they are there.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
openai_version=3.57.0

say() { printf '==> %s\n' "$*" >&2; }

get_openai() {
  local dest=$root/.deps/openai-sdk
  if [ -f "$dest/.version" ] && [ "$(cat "$dest/.version")" = "$openai_version" ]; then return 0; fi
  say "fetching OpenAI's SDK $openai_version into .deps/openai-sdk"
  rm -rf "$dest"
  python3 -m venv "$dest"
  "$dest/bin/pip" install --quiet --disable-pip-version-check "openai==$openai_version" >&2
  echo "$openai_version" >"$dest/.version"
}

get_promtool() {
  local dest=$root/.deps/promtool
  if [ -x "$dest/promtool" ]; then return 0; fi
  say "fetching promtool into .deps/promtool"
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  if ! (cd "$work" && apt-get download -qq prometheus >&2); then
    say "no Debian package prometheus here: the check with promtool is skipped"
    return 0
  fi
  dpkg-deb -x "$work"/prometheus_*.deb "$work/tree"
  mkdir -p "$dest"
  mv "$work/tree/usr/bin/promtool" "$dest/promtool"
}

mkdir -p "$root/.deps"
get_openai
get_promtool
