// Runs phases as CUDA kernels on the caller's stream: one item, or one pixel, to a thread. Nothing is
// allocated, copied or waited for, so the ops can be captured in a graph.
#pragma once

#include <cuda_runtime.h>

#include "../common/memory.hpp"
#include "../merge/vertex_features.hpp"

SPIT_NAMESPACE_BEGIN

// Threads of a GPU. Loads and stores are volatile: another item's value may come at any time.
struct DeviceMemory {
  static constexpr bool kAddsAreFree = false;

  template <class T>
  static __device__ __forceinline__ T load(const T* at) {
    return *static_cast<const volatile T*>(at);
  }
  template <class T>
  static __device__ __forceinline__ void store(T* at, T value) {
    *static_cast<volatile T*>(at) = value;
  }
  template <class T>
  static __device__ __forceinline__ void add(T* at, T value) {
    if constexpr (sizeof(T) == 8) {
      atomicAdd(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(value));
    } else {
      atomicAdd(at, value);
    }
  }
  // Most updates come too late to count, and a load is cheaper than an atomic operation.
  template <class T>
  static __device__ __forceinline__ void max(T* at, T value) {
    if (!(load(at) < value)) return;
    if constexpr (sizeof(T) == 8) {
      atomicMax(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(value));
    } else {
      atomicMax(at, value);
    }
  }
  template <class T>
  static __device__ __forceinline__ void min(T* at, T value) {
    if (value < load(at)) atomicMin(at, value);
  }
  static __device__ __forceinline__ void set_bits(std::uint32_t* at, std::uint32_t value) { atomicOr(at, value); }
  static __device__ __forceinline__ std::int32_t compare_swap(std::int32_t* at, std::int32_t expected,
                                                              std::int32_t desired) {
    return atomicCAS(at, expected, desired);
  }
};

// A tile's pixels, shared out among the threads of a block.
struct BlockTeam {
  template <class Row>
  __device__ __forceinline__ void rows(Block block, Row row) const {
    const int columns = block.column_end - block.column_begin;
    const int cells = columns * (block.row_end - block.row_begin);
    for (int cell = threadIdx.x; cell < cells; cell += blockDim.x) {
      const int column = block.column_begin + cell % columns;
      row(block.row_begin + cell / columns, column, column + 1);
    }
    __syncthreads();
  }
};

constexpr int kThreads = 256;
// Blocks that fit on a multiprocessor at once, as far as registers go. It leaves 64 registers to a
// thread; left to itself ptxas takes fewer on some architectures, and spills.
constexpr int kLeastBlocks = 4;
constexpr int kMostGridRows = 65535;
constexpr int kTileSide = 32;

template <class Phase>
__global__ void __launch_bounds__(kThreads, kLeastBlocks) run_ranges(Phase phase, int images) {
  const int item = blockIdx.x * kThreads + threadIdx.x;
  for (int image = blockIdx.y; image < images; image += gridDim.y) {
    if (item < phase.limit(image)) phase.template run<DeviceMemory>(image, Range{item, item + 1});
  }
}

template <class Phase>
__global__ void __launch_bounds__(kThreads, kLeastBlocks) run_blocks(Phase phase, int images, int width, int pixels) {
  const int pixel = blockIdx.x * kThreads + threadIdx.x;
  if (pixel >= pixels) return;
  const int row = pixel / width, column = pixel % width;
  for (int image = blockIdx.y; image < images; image += gridDim.y) {
    phase.template run<DeviceMemory>(image, Block{row, row + 1, column, column + 1});
  }
}

template <class Phase>
__global__ void __launch_bounds__(kThreads, kLeastBlocks) run_tiles(Phase phase, int images, int height, int width) {
  constexpr int kSide = kTileSide + 2 * TileScratch::kHalo;
  __shared__ float scratch[TileScratch::floats(kTileSide, kTileSide)];
  const int across = (width + kTileSide - 1) / kTileSide;
  const int row = blockIdx.x / across * kTileSide, column = blockIdx.x % across * kTileSide;
  const Block tile{row, smaller(row + kTileSide, height), column, smaller(column + kTileSide, width)};
  const TileScratch planes{scratch, kSide, kSide * kSide, row - TileScratch::kHalo, column - TileScratch::kHalo};
  for (int image = blockIdx.y; image < images; image += gridDim.y) {
    BlockTeam team;
    phase.run(team, image, tile, planes);
  }
}

class CudaExecutor {
 public:
  // A block is one pixel: no region lies in it.
  static constexpr bool kLargeBlocks = false;

  explicit CudaExecutor(cudaStream_t stream) : stream_(stream) {}

  // The first error of a launch, if any; nothing is launched after it.
  cudaError_t status() const { return status_; }
  int launches() const { return launches_; }

  template <class Phase>
  void ranges(const Phase& phase, int images, int most) {
    if (!ready()) return;
    run_ranges<<<grid(most, kThreads, images), kThreads, 0, stream_>>>(phase, images);
    check();
  }

  template <class Phase>
  void blocks(const Phase& phase, int images, int height, int width) {
    if (!ready()) return;
    const int pixels = height * width;
    run_blocks<<<grid(pixels, kThreads, images), kThreads, 0, stream_>>>(phase, images, width, pixels);
    check();
  }

  template <class Phase>
  void tiles(const Phase& phase, int images, int height, int width) {
    if (!ready()) return;
    const int across = (width + kTileSide - 1) / kTileSide, down = (height + kTileSide - 1) / kTileSide;
    run_tiles<<<grid(across * down, 1, images), kThreads, 0, stream_>>>(phase, images, height, width);
    check();
  }

 private:
  static dim3 grid(int items, int per_block, int images) {
    return dim3((items - 1) / per_block + 1, smaller(images, kMostGridRows));
  }
  bool ready() const { return status_ == cudaSuccess; }
  void check() {
    status_ = cudaGetLastError();
    ++launches_;
  }

  cudaStream_t stream_;
  cudaError_t status_ = cudaSuccess;
  int launches_ = 0;
};

SPIT_NAMESPACE_END
