// The functions of launch.hpp on host pointers: what is tested of the plugin library on machines
// without a GPU is its own code around these. Work is done when a function returns; a stream means
// nothing.
#include "../kernels/launch.hpp"
#include "../native/execution.hpp"
#include "../native/floating_point.hpp"

namespace spit::cuda {
namespace {

const native::Execution kOneThread{native::ExecutorKind::kThreads, 1, 0};

template <class Arguments>
cudaError_t run(const native::Op<Arguments>& op, const Arguments& arguments, int* launches) {
  const native::DefaultFloatingPoint arithmetic;
  op.run(arguments, kOneThread);
  if (launches) *launches = 0;
  return cudaSuccess;
}

}  // namespace

const char* status_text(cudaError_t status) {
  if (status == cudaSuccess) return "no error";
  return status == cudaErrorInvalidValue ? "invalid argument" : "unknown error";
}

std::size_t superpixel_merge_workspace(const MergeArguments& a) {
  return native::kPortableOps.merge.bytes(a, kOneThread);
}
std::size_t region_features_workspace(const FeatureArguments& a) {
  return native::kPortableOps.features.bytes(a, kOneThread);
}
std::size_t voronoi_tessellation_workspace(const VoronoiArguments& a) {
  return native::kPortableOps.voronoi.bytes(a, kOneThread);
}

cudaError_t superpixel_merge(const MergeArguments& a, cudaStream_t, int* launches) {
  return run(native::kPortableOps.merge, a, launches);
}
cudaError_t region_features(const FeatureArguments& a, cudaStream_t, int* launches) {
  return run(native::kPortableOps.features, a, launches);
}
cudaError_t voronoi_tessellation(const VoronoiArguments& a, cudaStream_t, int* launches) {
  return run(native::kPortableOps.voronoi, a, launches);
}

}  // namespace spit::cuda
