#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds llama.cpp's llama-bench and llama-batched-bench (MIT), the peers of `baton bench engine`, and tools/peer/ggml_matmul.cc on
# its library, the peer of `baton bench kernels`, for this machine's CPU into DEST/bin (default: .deps/llama.cpp beside tools/). The source is the one inside the Python package llama-cpp-python, whose
# only use here is to be fetched with pip. Needs python3 with venv and pip, cmake and a C++ compiler; takes ten minutes on
# two cores. Quick and silent on the network when DEST already holds this version. Nothing of it is linked into Baton.
set -eu

version=0.3.36
sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
tools=$(cd "$(dirname "$0")" && pwd)
dest=${1:-$tools/../.deps/llama.cpp}
stamp=$dest/.sha256
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sha256" ] && [ -x "$dest/bin/ggml-matmul" ]; then
  echo "get_llama_cpp.sh: llama.cpp of llama-cpp-python $version is already in $dest"
  exit 0
fi

mkdir -p "$dest"
work=$(mktemp -d "$dest/.get.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

# pip asks a source package for its name and version before it hands it over, which takes the package's build tool.
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-build-core
"$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-binary llama-cpp-python \
  --dest "$work" "llama-cpp-python==$version"
archive=$(ls "$work"/llama_cpp_python-*.tar.gz)
if ! echo "$sha256  $archive" | sha256sum --check --status; then
  echo "get_llama_cpp.sh: the package's SHA-256 is $(sha256sum "$archive" | cut -d' ' -f1), expected $sha256: nothing was built" >&2
  exit 1
fi
tar -xzf "$archive" -C "$work"

cmake -S "$work"/llama_cpp_python-*/vendor/llama.cpp -B "$work/build" -DCMAKE_BUILD_TYPE=Release \
  -DGGML_NATIVE=ON -DGGML_OPENMP=ON -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DBUILD_SHARED_LIBS=OFF
cmake --build "$work/build" --parallel "$(nproc)" --target llama-bench llama-batched-bench
mkdir -p "$dest/bin"
cp "$work/build/bin/llama-bench" "$work/build/bin/llama-batched-bench" "$dest/bin/"
ggml=$work/build/ggml/src
c++ -std=c++17 -O2 -I"$(ls -d "$work"/llama_cpp_python-*/vendor/llama.cpp/ggml/include)" "$tools/peer/ggml_matmul.cc" -o "$dest/bin/ggml-matmul" \
  "$ggml/libggml.a" "$ggml/libggml-cpu.a" "$ggml/libggml-base.a" -fopenmp -lpthread -ldl
echo "$sha256" > "$stamp"
echo "get_llama_cpp.sh: llama-bench, llama-batched-bench and ggml-matmul are in $dest/bin"
