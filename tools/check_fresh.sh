#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a stranger meets: makes an empty Debian 12 with mmdebstrap, puts the commit HEAD into it and runs ./quickstart and then
# ./check there. Prints how long each took, a verdict line, and removes the root again. Opt-in (./check fresh): it downloads and
# compiles everything, which takes tens of minutes.
#   tools/check_fresh.sh [--only quickstart|check] [--keep true]
# Packages come from the apt sources of this machine, Python packages from where its pip is told to look. Needs root: mounts and
# processes live in namespaces of their own and end with it; the network is this machine's, so ports 7070 and 7071 must be free.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
only=${BATON_FRESH_ONLY:-all}
keep=${BATON_FRESH_KEEP:-false}

say() { printf '==> %s\n' "$*" >&2; }

while [ "$#" -gt 0 ]; do
  case "$1" in
    -h | --help) sed -n '3,9p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; exit 0 ;;
    --only) only=${2:?--only wants quickstart or check}; shift 2 ;;
    --keep) keep=${2:?--keep wants true or false}; shift 2 ;;
    *) say "what is \"$1\"?"; exit 2 ;;
  esac
done
case "$only" in all | quickstart | check) ;; *) say "--only wants quickstart or check, this is \"$only\""; exit 2 ;; esac
if [ "$(id -u)" -ne 0 ]; then say "a fresh root needs root: run it with sudo"; exit 2; fi
if ! command -v mmdebstrap >/dev/null; then say "mmdebstrap is not installed: apt-get install mmdebstrap"; exit 2; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/baton-fresh.XXXXXX")
root=$work/root
clean_up() {
  if [ "$keep" = true ]; then say "kept: $root"; else rm -rf --one-file-system "$work"; fi
}
trap clean_up EXIT

# The host's own sources, whichever of the two formats they are in; third parties' are left out: a stranger has none.
sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/debian.list; do
  if [ -s "$file" ]; then sources+=("$file"); fi
done
if [ "${#sources[@]}" -eq 0 ]; then say "this machine has no Debian sources in /etc/apt"; exit 2; fi

# A setting of the host that names a file is worth nothing without the file.
copy_into_root() { # FILE
  if [ -f "$1" ]; then install -D -m 0644 "$1" "$root$1"; fi
}

# The certificates this machine trusts, under a name that installing ca-certificates there does not overwrite.
export CERTIFICATES=/etc/baton-fresh-certificates.pem

run_inside() { # COMMAND…
  unshare --mount --pid --fork --kill-child bash -c '
    set -e
    root=$1
    shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t sysfs -o ro sysfs "$root/sys"
    exec chroot "$root" env -u PIP_FIND_LINKS "PIP_CERT=$CERTIFICATES" "SSL_CERT_FILE=$CERTIFICATES" "REQUESTS_CA_BUNDLE=$CERTIFICATES" HOME=/srv/stranger LC_ALL=C.UTF-8 bash -c "cd /srv/stranger/baton && exec \"\$@\"" inside "$@"
  ' outside "$root" "$@"
}

verdict=""
failed=0
timed() { # NAME COMMAND…
  local name=$1 begin=$SECONDS result=0
  shift
  say "$name"
  "$@" || result=$?
  local took=$((SECONDS - begin))
  verdict+="${verdict:+, }$name ${took}s"
  if [ "$result" -ne 0 ]; then verdict+=" FAILED (exit status $result)"; failed=1; fi
  return "$result"
}

make_root() {
  mmdebstrap --quiet --variant=minbase --mode=root bookworm "$root" "${sources[@]}" || return
  mkdir -p "$root/srv/stranger/baton"
  git -C "$repository" archive HEAD | tar -x -C "$root/srv/stranger/baton" || return
  copy_into_root /etc/resolv.conf
  copy_into_root /etc/pip.conf
  local file
  if [ -n "${PIP_CONFIG_FILE:-}" ]; then copy_into_root "$PIP_CONFIG_FILE"; fi
  install -m 0644 "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" "$root$CERTIFICATES" || return
  for file in /etc/apt/apt.conf.d/*; do
    if [ ! -e "$root$file" ]; then copy_into_root "$file"; fi
  done
}

timed "fresh root" make_root &&
  { [ "$only" = check ] || timed "quickstart" run_inside ./quickstart; } &&
  { [ "$only" = quickstart ] || timed "check" run_inside ./check; } || true

line="fresh: Debian 12, commit $(git -C "$repository" rev-parse --short HEAD), $(nproc) cores: $verdict: $([ "$failed" -eq 0 ] && echo passed || echo FAILED)"
if [ -n "${BATON_CHECK_VERDICTS:-}" ]; then echo "$line" >>"$BATON_CHECK_VERDICTS"; fi
echo "verdict: $line"
exit "$failed"
