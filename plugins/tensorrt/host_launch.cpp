// The functions of launch.hpp on host pointers: what is tested of the plugin library on machines
// without a GPU is its own code around these. Work is done when a function returns; a stream means
// nothing.
#include "../kernels/executors/launch.hpp"
#include "../native/execution.hpp"
#include "../native/floating_point.hpp"

namespace spit::cuda {
namespace {

const native::Execution kOneThread{native::ExecutorKind::kThreads, 1, 0};

}  // namespace

const char* status_text(cudaError_t status) {
  if (status == cudaSuccess) return "no error";
  return status == cudaErrorInvalidValue ? "invalid argument" : "unknown error";
}

#define SPIT_DEFINE(Arguments, name)                                                                              \
  std::size_t workspace(const Arguments& a) { return native::kPortableOps.of<Arguments>().bytes(a, kOneThread); } \
  cudaError_t run(const Arguments& a, cudaStream_t, int* launches) {                                              \
    const native::DefaultFloatingPoint arithmetic;                                                                \
    native::kPortableOps.of<Arguments>().run(a, kOneThread);                                                      \
    if (launches) *launches = 0;                                                                                  \
    return cudaSuccess;                                                                                           \
  }
SPIT_EACH_OP(SPIT_DEFINE)
#undef SPIT_DEFINE

}  // namespace spit::cuda
