// Stands in for the CUDA runtime and records launches instead of making them: linked with the object
// of launch.cu, it says without a GPU what an op launches. Prints the bytes of workspace, then for
// every launch the mangled name of its kernel and the blocks and threads of its grid.
//
//   OP BATCH HEIGHT WIDTH ATTRIBUTE...     all attributes in the contract's order, choices by number
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "../common/validation.hpp"
#include "launch.hpp"

namespace {

struct Configuration {
  dim3 grid;
  dim3 block;
  std::size_t shared;
  cudaStream_t stream;
};

struct Launch {
  std::string kernel;
  Configuration at;
};

std::map<const void*, std::string>& kernels() {
  static std::map<const void*, std::string> names;  // registered before main
  return names;
}
std::vector<Configuration> pushed;
std::vector<Launch> launches;
cudaError_t error = cudaSuccess;

const cudaStream_t kStream = reinterpret_cast<cudaStream_t>(0x1000);

// Limits of every GPU since compute capability 5.0.
bool allowed(const Configuration& c) {
  return c.stream == kStream && c.grid.x - 1 < 0x7FFFFFFFu && c.grid.y - 1 < 65535u && c.grid.z - 1 < 65535u &&
         c.block.x * c.block.y * c.block.z - 1 < 1024u && c.shared <= 48 * 1024;
}

cudaError_t record(const void* kernel, const Configuration& at) {
  launches.push_back({kernels().at(kernel), at});
  if (!allowed(at)) error = cudaErrorInvalidConfiguration;
  return error;
}

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char* function, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*,
                            int*) {
  kernels()[function] = name;
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, CUstream_st* stream) {
  pushed.push_back({grid, block, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
  const Configuration c = pushed.back();
  pushed.pop_back();
  *grid = c.grid;
  *block = c.block;
  *shared = c.shared;
  *static_cast<cudaStream_t*>(stream) = c.stream;
  return cudaSuccess;
}

// CUDA 13 launches through a handle, CUDA 12 by the function's address.
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void**, std::size_t shared,
                               cudaStream_t stream) {
  return record(kernel, {grid, block, shared, stream});
}
cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void**, std::size_t shared,
                             cudaStream_t stream) {
  return record(function, {grid, block, shared, stream});
}
cudaError_t cudaGetLastError() { return error; }
const char* cudaGetErrorString(cudaError_t status) { return status == cudaSuccess ? "no error" : "an error"; }

}  // extern "C"

namespace {

struct Run {
  std::size_t workspace;
  cudaError_t status;
  int launches;  // as the executor counts them
};

// Sizes of the batch, then the attributes in the contract's order; false if they do not fit.
template <class Arguments>
bool run(int count, char** values, Run& r) {
  Arguments a{};
  spit::set_extent(a, {std::atoi(values[0]), std::atoi(values[1]), std::atoi(values[2])});
  int next = 3;
  spit::Contract<Arguments>::fields(a, [&](const spit::Field&, auto& value) {
    using Value = std::remove_reference_t<decltype(value)>;
    if (next < count) value = static_cast<Value>(std::atof(values[next]));
    ++next;
  });
  if constexpr (spit::Contract<Arguments>::kHasImages) {
    if (a.images.pixels != SPIT_PIXELS_UINT8) a.images.type = SPIT_FLOAT32;
  }
  if (next != count || spit::check_sizes(a)) return false;
  r.workspace = spit::cuda::workspace(a);
  r.status = spit::cuda::run(a, kStream, &r.launches);
  return true;
}

bool run_named(const std::string& op, int count, char** values, Run& r) {
#define SPIT_RUN(Arguments, name) \
  if (op == spit::Contract<Arguments>::kName) return run<Arguments>(count, values, r);
  SPIT_EACH_OP(SPIT_RUN)
#undef SPIT_RUN
  return false;
}

}  // namespace

int main(int count, char** arguments) {
  Run r{};
  if (count < 5 || !run_named(arguments[1], count - 2, arguments + 2, r)) {
    std::fprintf(stderr, "launch_recorder: no such op, or not its numbers\n");
    return 2;
  }
  if (r.status != cudaSuccess || r.launches != static_cast<int>(launches.size())) {
    std::fprintf(stderr, "launch_recorder: a launch that no GPU takes, or a wrong count of launches\n");
    return 1;
  }
  std::printf("%zu\n", r.workspace);
  for (const Launch& l : launches) {
    std::printf("%s %u %u %u\n", l.kernel.c_str(), l.at.grid.x, l.at.grid.y, l.at.block.x);
  }
  return 0;
}
