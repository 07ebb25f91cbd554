#!/usr/bin/env bash
# Builds the programs of this folder with sanitizers and runs them on every instruction set that this
# processor has, on the cases of op_hashes.py among others.  Fails on any finding and any wrong bit.
# PYTHON is one that has the packages of the reference.
set -euo pipefail
cd "$(dirname "$0")/../../.."
for tool in cmake g++; do
  command -v $tool > /dev/null || { echo "sanitize: $tool is missing (Debian: apt-get install $tool)" >&2; exit 1; }
done

build() {  # folder, sanitizers
  cmake -S tests/plugins/native -B "$1" "-DSPIT_SANITIZE=$2"
  cmake --build "$1" --parallel "$(nproc)"
}

build build/sanitize-address "address;undefined;float-cast-overflow"
build build/sanitize-thread thread
OMP_WAIT_POLICY=passive PYTHONPATH=. "${PYTHON:-python3}" tests/plugins/native/op_hashes.py build/op_cases

build/sanitize-address/refused_arguments
build/sanitize-address/executors_agree
for simd in portable avx2 best; do
  export SPIT_SIMD=$simd
  for sanitizer in address thread; do
    build/sanitize-$sanitizer/executors_agree threads
    build/sanitize-$sanitizer/op_hashes build/op_cases 7 | diff - build/op_cases.hashes
  done
done
echo "sanitizers found nothing"
