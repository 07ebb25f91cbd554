// Arguments of the ops: plain pointers and numbers, the same for every executor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pixels.hpp"
#include "token_values.hpp"

namespace spit {

struct MergeArguments {
  Images images;
  int levels;
  double compactness;
  double final_threshold;
  std::int32_t* labels;  // [batch, height, width]
  std::int32_t* counts;  // [batch]
  void* workspace;       // null: only ask for its size
};

enum class Interpolation : int { kBilinear = 0, kNearest = 1 };

struct FeatureArguments {
  Images images;
  const std::int32_t* labels;  // [batch, height, width]; a pixel with a label out of range is left out
  const std::int32_t* counts;  // [batch]
  int max_tokens;
  int bins;
  double sigma;
  bool gradient;
  Interpolation interpolation;
  TokenType token_type;
  void* tokens;  // [batch, max_tokens, bins * bins * (gradient ? 5 : 4)]
  void* workspace;
};

struct VoronoiArguments {
  const std::int64_t* seeds;  // [batch]
  int batch;
  int height;
  int width;
  std::int32_t* labels;
  std::int32_t* counts;
  void* workspace;
};

}  // namespace spit
