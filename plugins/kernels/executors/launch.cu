#include "../common/described_pixels.hpp"
#include "../op_kernels.hpp"
#include "cuda_executor.cuh"
#include "launch.hpp"

namespace spit::cuda {
namespace {

template <class Arguments>
std::size_t bytes_of(Arguments arguments) {
  arguments.workspace = nullptr;
  return workspace_bytes(arguments);
}

template <class Arguments>
cudaError_t launch(const Arguments& arguments, cudaStream_t stream, int* launches) {
  CudaExecutor executor(stream);
  if constexpr (Contract<Arguments>::kHasImages) {
    run_op(executor, arguments, DescribedPixels::of(arguments.images));
  } else {
    run_op(executor, arguments);
  }
  if (launches) *launches = executor.launches();
  return executor.status();
}

}  // namespace

const char* status_text(cudaError_t status) { return cudaGetErrorString(status); }

#define SPIT_DEFINE(Arguments, name)                                                \
  std::size_t workspace(const Arguments& arguments) { return bytes_of(arguments); } \
  cudaError_t run(const Arguments& arguments, cudaStream_t stream, int* launches) { \
    return launch(arguments, stream, launches);                                     \
  }
SPIT_EACH_OP(SPIT_DEFINE)
#undef SPIT_DEFINE

}  // namespace spit::cuda
