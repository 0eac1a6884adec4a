#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches UCX (BSD-3-Clause) as the prebuilt wheel libucx-cu13 and unpacks it into DEST (default: .deps/ucx beside tools/).
# Needs python3 with pip and nothing of Python at run time. The tree is kept as the wheel has it (libucx/{include,lib} and
# libucx_cu13.libs), because its libraries find each other by relative paths. Quick and silent on the network when DEST
# already holds this version.
set -eu

version=1.22.0
revision=1  # of what this script changes in the tree
case "$(uname -m)" in
  x86_64) sha256=c6e0aaa82dc6e49dc3ddaac465b530e014f48b6c1c6b5ae74fbdd199d824351b ;;
  *) echo "get_ucx.sh: no wheel is pinned for $(uname -m): install your distribution's UCX >= 1.13 (libucx-dev)" >&2; exit 1 ;;
esac

dest=${1:-$(cd "$(dirname "$0")/.." && pwd)/.deps/ucx}
stamp=$dest/.sha256
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sha256 $revision" ] && [ -f "$dest/libucx/lib/libucp.so" ]; then
  echo "get_ucx.sh: UCX $version is already in $dest"
  exit 0
fi

parent=$(dirname "$dest")
mkdir -p "$parent"
work=$(mktemp -d "$parent/.get_ucx.XXXXXX")  # same file system as DEST, so that the last step is one rename
trap 'rm -rf "$work"' EXIT INT TERM

python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" \
  "libucx-cu13==$version" >&2
wheel=$(ls "$work"/libucx_cu13-*.whl)
if ! echo "$sha256  $wheel" | sha256sum --check --status; then
  echo "get_ucx.sh: the wheel's SHA-256 is $(sha256sum "$wheel" | cut -d' ' -f1), expected $sha256: nothing was unpacked" >&2
  exit 1
fi
python3 -m zipfile -e "$wheel" "$work/tree"
# When it is loaded, UCX overwrites the first instructions of mmap, munmap and madvise for the whole process, to know when to
# forget registrations of memory it did not allocate. Baton registers its pools once; the hooks only cost every thread, and
# crash under a thread sanitizer. It is too late to say so from code: only the environment or this file is read early enough.
conf=$work/tree/libucx/etc/ucx/ucx.conf
{ echo "UCX_MEM_EVENTS=n"; cat "$conf"; } > "$conf.new" && mv "$conf.new" "$conf"
echo "$sha256 $revision" > "$work/tree/.sha256"
rm -rf "$dest"
mv "$work/tree" "$dest"
echo "get_ucx.sh: UCX $version is in $dest"
