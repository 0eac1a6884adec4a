#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building Baton needs and is missing here: Debian packages through apt-get, UCX through tools/get_ucx.sh.
# Prints each step; silent and quick (no network) when nothing is missing. Debian 12 is what we test on.
#   tools/install_packages.sh clang-14 …   these packages too
#   BATON_BUILD_SKIP_INSTALL=1   leave the system alone (the packages come from somewhere else)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
packages=(
  g++ cmake ninja-build ccache pkg-config python3 python3-pip python3-venv unzip git ca-certificates
  libzmq3-dev capnproto libcapnp-dev libyaml-cpp-dev libboost1.81-dev libspdlog-dev libcli11-dev
  libexpected-dev libxxhash-dev libutf8proc-dev libgtest-dev
  "$@"
)

say() { printf '==> %s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null | awk '$2 == "installed" {print $1}' || true)
  comm -23 <(printf '%s\n' "${packages[@]}" | sort -u) <(printf '%s\n' "$installed" | sort -u)
}

install_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "no apt-get here: install the equivalents of these by hand, then set BATON_BUILD_SKIP_INSTALL=1"
    printf '    %s\n' "${packages[@]}" >&2
    return 1
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  if [ "${#missing[@]}" -eq 0 ]; then return 0; fi
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    say "not root and no sudo here; run this as root, then come back:"
    printf '    apt-get update && apt-get install -y --no-install-recommends %s\n' "${missing[*]}" >&2
    return 1
  fi
  say "installing ${#missing[@]} Debian packages (a few minutes): ${missing[*]}"
  if ! as_root apt-get update -qq ||
    ! as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
    say "apt-get failed, see above. Needed: the network, Debian 12 (other releases name some packages differently) and root."
    say "With the packages from somewhere else, set BATON_BUILD_SKIP_INSTALL=1"
    return 1
  fi
  say "packages installed"
}

install_ucx() {
  if [ -e "$root/.deps/ucx/libucx/lib/libucp.so" ] || [ ! -e "$root/tools/get_ucx.sh" ]; then return 0; fi
  say "fetching UCX into .deps/ucx"
  sh "$root/tools/get_ucx.sh" "$root/.deps/ucx" >&2
}

if [ -n "${BATON_BUILD_SKIP_INSTALL:-}" ]; then exit 0; fi
install_packages
install_ucx
