// Scores of edges and of staying alone, as 16-bit integers (docs/algorithm.md, section 3).
#pragma once

#include "vertex_features.hpp"

SPIT_NAMESPACE_BEGIN

constexpr float kScoreLevels = 65535.0f;
constexpr float kAloneLimit = 0.75f;
constexpr float kSmallestDeviation = 1e-6f;

// Corner pixels of a region, both inclusive.
struct Box {
  std::int32_t row_low;
  std::int32_t column_low;
  std::int32_t row_high;
  std::int32_t column_high;
};

SPIT_HD Box joint(Box a, Box b) {
  return {smaller(a.row_low, b.row_low), smaller(a.column_low, b.column_low), larger(a.row_high, b.row_high),
          larger(a.column_high, b.column_high)};
}

// A vertex made by a merge. It fills half a cache line: a score needs nothing else of it.
struct alignas(32) Vertex {
  float features[4];
  float norm;
  std::uint32_t size;
  std::uint64_t best;  // largest (score, neighbour) so far
};

SPIT_HD float similarity(float dot, float product) {
  const float cosine = product > 0.0f ? dot / product : 0.0f;
  return (cosine + 1.0f) * 0.5f;
}

SPIT_HD std::int32_t quantised(float score) {
  // Truncation of what is not negative is its floor.
  return static_cast<std::int32_t>(clip(score * kScoreLevels + 0.5f, 0.0f, kScoreLevels));
}

// Compactness 4 area / perimeter^2 of a bounding box, mixed into a score.
struct Blend {
  float weight;
  float rest;  // 1 - weight
  bool active;

  SPIT_HD float operator()(float score, std::uint32_t area, Box box) const {
    const int extent = (box.row_high - box.row_low) + (box.column_high - box.column_low) + 2;
    const float half = static_cast<float>(extent);
    const float roundness = clip((static_cast<float>(area) * 4.0f) / (half * half), 0.0f, 1.0f);
    return roundness * weight + score * rest;
  }
};

// Twice the mean, and the deviation, of the sizes of n vertices: from integer sums.
struct SizeStatistics {
  float mean;
  float sigma;

  SPIT_HD SizeStatistics(std::int64_t pixels, std::int64_t n, std::int64_t square_sum) {
    mean = static_cast<float>(2 * pixels) / static_cast<float>(n);
    float deviation = 0.0f;
    if (n > 1) {
      const std::int64_t whole = (pixels * pixels) / n;
      const std::int64_t rest = (pixels * pixels) % n;
      const float spread = static_cast<float>(square_sum - whole);
      deviation = sqrtf((spread - static_cast<float>(rest) / static_cast<float>(n)) / static_cast<float>(n - 1));
    }
    sigma = larger(deviation, kSmallestDeviation);
  }

  // Score of staying alone: large vertices want to.
  SPIT_HD float alone(std::uint32_t size) const {
    const float z = clip((static_cast<float>(size) - mean) / sigma, -kAloneLimit, kAloneLimit);
    return (z + 1.0f) * 0.5f;
  }
};

SPIT_HD std::uint64_t choice_key(std::int32_t score, std::int32_t vertex) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(score)) << 32) | static_cast<std::uint32_t>(vertex);
}

SPIT_NAMESPACE_END
