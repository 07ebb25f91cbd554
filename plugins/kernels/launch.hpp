// The ops on a CUDA stream. Pointers are device pointers; arguments must have passed check() of
// validation.hpp. Workspace is aligned to 256 bytes and as large as *_workspace says.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "arguments.hpp"

namespace spit::cuda {

std::size_t superpixel_merge_workspace(const MergeArguments& arguments);
std::size_t region_features_workspace(const FeatureArguments& arguments);
std::size_t voronoi_tessellation_workspace(const VoronoiArguments& arguments);

// launches, where given, receives the number of kernels launched.
cudaError_t superpixel_merge(const MergeArguments& arguments, cudaStream_t stream, int* launches = nullptr);
cudaError_t region_features(const FeatureArguments& arguments, cudaStream_t stream, int* launches = nullptr);
cudaError_t voronoi_tessellation(const VoronoiArguments& arguments, cudaStream_t stream, int* launches = nullptr);

// What a status means, in words.
const char* status_text(cudaError_t status);

}  // namespace spit::cuda
