#include "cuda_executor.cuh"
#include "described_pixels.hpp"
#include "launch.hpp"
#include "region_features.hpp"
#include "superpixel_merge.hpp"
#include "voronoi.hpp"

namespace spit::cuda {
namespace {

cudaError_t finish(const CudaExecutor& executor, int* launches) {
  if (launches) *launches = executor.launches();
  return executor.status();
}

}  // namespace

const char* status_text(cudaError_t status) { return cudaGetErrorString(status); }

std::size_t superpixel_merge_workspace(const MergeArguments& arguments) {
  MergeArguments a = arguments;
  a.workspace = nullptr;
  return lay_out_merge(a).bytes;
}

std::size_t region_features_workspace(const FeatureArguments& arguments) {
  FeatureArguments a = arguments;
  a.workspace = nullptr;
  std::size_t bytes = 0;
  lay_out_features(a, bytes);
  return bytes;
}

std::size_t voronoi_tessellation_workspace(const VoronoiArguments& arguments) {
  VoronoiArguments a = arguments;
  a.workspace = nullptr;
  std::size_t bytes = 0;
  lay_out_voronoi(a, bytes);
  return bytes;
}

cudaError_t superpixel_merge(const MergeArguments& arguments, cudaStream_t stream, int* launches) {
  CudaExecutor executor(stream);
  spit::superpixel_merge(executor, arguments, DescribedPixels::of(arguments.images));
  return finish(executor, launches);
}

cudaError_t region_features(const FeatureArguments& arguments, cudaStream_t stream, int* launches) {
  CudaExecutor executor(stream);
  spit::region_features(executor, arguments, DescribedPixels::of(arguments.images));
  return finish(executor, launches);
}

cudaError_t voronoi_tessellation(const VoronoiArguments& arguments, cudaStream_t stream, int* launches) {
  CudaExecutor executor(stream);
  spit::voronoi_tessellation(executor, arguments);
  return finish(executor, launches);
}

}  // namespace spit::cuda
