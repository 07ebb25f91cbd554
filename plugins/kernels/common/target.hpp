// What the kernels need to know about the compiler that reads them, and nothing else.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define SPIT_HD __host__ __device__ __forceinline__
#define SPIT_VECTORISE
#define SPIT_UNROLL _Pragma("unroll")
#else
#define SPIT_HD inline __attribute__((always_inline))
// The iterations of the loop below are independent of one another.
#define SPIT_VECTORISE _Pragma("GCC ivdep")
#define SPIT_UNROLL
#endif

// The same headers are compiled several times into one library, for different instruction sets. Each
// time gets its own namespace, so that the linker cannot merge an AVX-512 function into the baseline.
#ifndef SPIT_VARIANT
#define SPIT_VARIANT portable
#endif
#define SPIT_NAMESPACE_BEGIN \
  namespace spit {           \
  inline namespace SPIT_VARIANT {
#define SPIT_NAMESPACE_END \
  }                        \
  }

SPIT_NAMESPACE_BEGIN

template <class T>
SPIT_HD T smaller(T a, T b) {
  return b < a ? b : a;
}

template <class T>
SPIT_HD T larger(T a, T b) {
  return a < b ? b : a;
}

template <class T>
SPIT_HD T clip(T x, T low, T high) {
  return smaller(larger(x, low), high);
}

SPIT_HD int population(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __popc(bits);
#else
  return __builtin_popcount(bits);
#endif
}

// Half-open ranges of items and blocks of pixels: the units in which an executor hands out work.
struct Range {
  int begin;
  int end;
};

struct Block {
  int row_begin;
  int row_end;
  int column_begin;
  int column_end;

  SPIT_HD Block grown(int by, int height, int width) const {
    return {larger(row_begin - by, 0), smaller(row_end + by, height), larger(column_begin - by, 0),
            smaller(column_end + by, width)};
  }
};

SPIT_NAMESPACE_END
