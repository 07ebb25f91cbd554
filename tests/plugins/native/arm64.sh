#!/usr/bin/env bash
# Builds the programs of this folder for arm64 and runs them under qemu: the bits must be those of the
# reference, on the golden images and on small ones with anything in them.
# PYTHON is one that has the packages of the reference.
set -euo pipefail
cd "$(dirname "$0")/../../.."
for tool in cmake aarch64-linux-gnu-g++ qemu-aarch64-static; do
  command -v $tool > /dev/null || {
    echo "test-arm64: $tool is missing (Debian: apt-get install cmake g++-aarch64-linux-gnu qemu-user-static)" >&2
    exit 1
  }
done

# Static, so that no arm64 system has to be at hand.
cmake -S tests/plugins/native -B build/arm64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
  -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static
cmake --build build/arm64 --parallel "$(nproc)"
OMP_WAIT_POLICY=passive PYTHONPATH=. "${PYTHON:-python3}" tests/plugins/native/op_hashes.py build/op_cases

qemu-aarch64-static build/arm64/refused_arguments
qemu-aarch64-static build/arm64/executors_agree
for threads in 1 7; do
  qemu-aarch64-static build/arm64/op_hashes build/op_cases $threads | diff - build/op_cases.hashes
done
echo "arm64 gives the same bits"
