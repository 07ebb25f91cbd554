// The ops on a CUDA stream, one overload for each structure of arguments. Pointers are device
// pointers; arguments must have passed check() of validation.hpp. Workspace is aligned to 256 bytes and
// as large as workspace() says.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "../contracts.hpp"

namespace spit::cuda {

// launches, where given, receives the number of kernels launched.
#define SPIT_DECLARE(Arguments, name)                \
  std::size_t workspace(const Arguments& arguments); \
  cudaError_t run(const Arguments& arguments, cudaStream_t stream, int* launches = nullptr);
SPIT_EACH_OP(SPIT_DECLARE)
#undef SPIT_DECLARE

// What a status means, in words.
const char* status_text(cudaError_t status);

}  // namespace spit::cuda
