// Everything region_features reads and writes, for a whole batch, by plain pointers.
#pragma once

#include "../common/memory.hpp"
#include "../common/pixel_readers.hpp"
#include "../common/workspace.hpp"
#include "../contracts.hpp"
#include "kernel_weights.hpp"

SPIT_NAMESPACE_BEGIN

// Size and bounding box of a region, so that all zeros is the empty one and all updates are maxima.
struct Region {
  std::uint32_t size;
  std::int32_t up;     // height - smallest row
  std::int32_t left;   // width - smallest column
  std::int32_t down;   // largest row + 1
  std::int32_t right;  // largest column + 1
};

struct FeatureState {
  int height;
  int width;
  int pixels;
  int max_tokens;
  int bins;
  int histograms;    // joint histograms of a region: of positions, and of gradients or not
  int token_halves;  // size of a token value in units of two bytes
  bool nearest;
  KernelWeights weights;

  // A CPU's caller may write the labels while they are read: every one is checked where it is used.
  const std::int32_t* labels;  // [B, pixels]
  const std::int32_t* counts;  // [B] the same in every phase
  void* tokens;                // [B, max_tokens, bins, bins, 3 + histograms]
  float* contrast;             // [B, 3, pixels]
  Region* regions;             // [B, max_tokens]
  std::uint64_t* sums;         // [B, max_tokens, histograms, bins, bins]

  SPIT_HD int cells() const { return bins * bins; }
  SPIT_HD int channels() const { return 3 + histograms; }
  SPIT_HD int used(int image) const { return clip(counts[image], 0, max_tokens); }
  SPIT_HD const std::int32_t* labels_of(int image) const { return labels + static_cast<std::int64_t>(image) * pixels; }
  SPIT_HD Region* regions_of(int image) const { return regions + static_cast<std::int64_t>(image) * max_tokens; }
  SPIT_HD std::uint64_t* sums_of(int image, std::int64_t region) const {
    return sums + (static_cast<std::int64_t>(image) * max_tokens + region) * histograms * cells();
  }
  // Values is the type of the tokens in memory.
  template <class Values>
  SPIT_HD Values* row_of(int image, std::int64_t region) const {
    return static_cast<Values*>(tokens) +
           (static_cast<std::int64_t>(image) * max_tokens + region) * cells() * channels();
  }
  // The same row as units of two bytes, whatever its type.
  SPIT_HD std::int64_t row_halves() const { return static_cast<std::int64_t>(cells()) * channels() * token_halves; }
  SPIT_HD std::uint16_t* halves_of(int image, std::int64_t region) const {
    return static_cast<std::uint16_t*>(tokens) +
           (static_cast<std::int64_t>(image) * max_tokens + region) * row_halves();
  }
  SPIT_HD float* contrast_of(int image, int channel) const {
    return contrast + (static_cast<std::int64_t>(image) * 3 + channel) * pixels;
  }
};

// 12 bytes a pixel; 20 + 8 bins^2 (2 with gradient, else 1) bytes a token.
inline FeatureState lay_out_features(const SpitFeatures& a, std::size_t& bytes) {
  Workspace workspace(a.workspace);
  FeatureState s{};
  s.height = a.images.height;
  s.width = a.images.width;
  s.pixels = s.height * s.width;
  s.max_tokens = a.max_tokens;
  s.bins = a.bins;
  s.histograms = a.gradient ? 2 : 1;
  s.token_halves = a.token_type == SPIT_TOKEN_TYPE_FLOAT32 ? 2 : 1;
  s.nearest = a.interpolation == SPIT_INTERPOLATION_NEAREST;
  s.weights = KernelWeights::of(a.bins, a.sigma);
  s.labels = a.labels;
  s.counts = a.counts;
  s.tokens = a.tokens;
  const std::int64_t batch = a.images.batch, rows = batch * a.max_tokens;
  s.contrast = workspace.take<float>(batch * 3 * s.pixels);
  s.regions = workspace.take<Region>(rows);
  s.sums = workspace.take<std::uint64_t>(rows * s.histograms * s.cells());
  bytes = workspace.bytes();
  return s;
}

SPIT_NAMESPACE_END
