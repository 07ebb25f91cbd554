// Stands in for the CUDA runtime and records launches instead of making them: linked with the object
// of launch.cu, it says without a GPU what an op launches. Prints the bytes of workspace, then for
// every launch the mangled name of its kernel and the blocks and threads of its grid.
//
//   merge     BATCH HEIGHT WIDTH LEVELS COMPACTNESS FINAL_THRESHOLD
//   features  BATCH HEIGHT WIDTH MAX_TOKENS BINS GRADIENT TOKEN_TYPE
//   voronoi   BATCH HEIGHT WIDTH
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

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

Run run(const std::string& op, char** values) {
  const auto whole = [&](int i) { return std::atoi(values[i]); };
  const int batch = whole(0), height = whole(1), width = whole(2);
  const spit::Images images{nullptr, true, spit::PixelKind::kUint8, batch, height, width};
  Run r{};
  if (op == "merge") {
    const spit::MergeArguments a{images,  whole(3), std::atof(values[4]), std::atof(values[5]), nullptr,
                                 nullptr, nullptr};
    r.workspace = spit::cuda::superpixel_merge_workspace(a);
    r.status = spit::cuda::superpixel_merge(a, kStream, &r.launches);
  } else if (op == "features") {
    const spit::FeatureArguments a{images,
                                   nullptr,
                                   nullptr,
                                   whole(3),
                                   whole(4),
                                   0.025,
                                   whole(5) != 0,
                                   spit::Interpolation::kBilinear,
                                   static_cast<spit::TokenType>(whole(6)),
                                   nullptr,
                                   nullptr};
    r.workspace = spit::cuda::region_features_workspace(a);
    r.status = spit::cuda::region_features(a, kStream, &r.launches);
  } else {
    const spit::VoronoiArguments a{nullptr, batch, height, width, nullptr, nullptr, nullptr};
    r.workspace = spit::cuda::voronoi_tessellation_workspace(a);
    r.status = spit::cuda::voronoi_tessellation(a, kStream, &r.launches);
  }
  return r;
}

int numbers_of(const std::string& op) { return op == "merge" ? 6 : op == "features" ? 7 : op == "voronoi" ? 3 : -1; }

}  // namespace

int main(int count, char** arguments) {
  const std::string op = count > 1 ? arguments[1] : "";
  if (count - 2 != numbers_of(op)) {
    std::fprintf(stderr, "launch_recorder: no such op, or not its numbers\n");
    return 2;
  }
  const Run r = run(op, arguments + 2);
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
