// What arguments an op accepts. Executors and kernels rely on it and check nothing again.
#pragma once

#include <cmath>
#include <cstdint>

#include "arguments.hpp"

namespace spit {

constexpr std::int64_t kMostPixels = std::int64_t{1} << 26;  // of an image: sums are that wide
constexpr std::int64_t kMostBatchPixels = (std::int64_t{1} << 31) - 1;
constexpr int kMostBins = 64;

// The argument that is wrong, its value, and what it should have been; null argument: nothing is.
struct Fault {
  const char* argument = nullptr;
  double value = 0.0;
  const char* expected = nullptr;

  explicit operator bool() const { return argument != nullptr; }
};

inline Fault check_extent(std::int64_t batch, std::int64_t height, std::int64_t width) {
  if (batch < 1) return {"batch", static_cast<double>(batch), "at least 1"};
  if (height < 1 || height > kMostPixels) return {"height", static_cast<double>(height), "in 1...2^26"};
  if (width < 1 || width > kMostPixels) return {"width", static_cast<double>(width), "in 1...2^26"};
  const std::int64_t pixels = height * width;
  if (pixels > kMostPixels) return {"height * width", static_cast<double>(pixels), "at most 2^26"};
  if (batch > kMostBatchPixels / pixels) {
    return {"batch * height * width", static_cast<double>(batch) * static_cast<double>(pixels), "below 2^31"};
  }
  return {};
}

inline Fault check_images(const Images& images) {
  if (!images.data) return {"images", 0.0, "not null"};
  if (images.bytes && images.kind != PixelKind::kUint8) {
    return {"pixels", static_cast<double>(static_cast<int>(images.kind)), "uint8 for uint8 images"};
  }
  return check_extent(images.batch, images.height, images.width);
}

inline Fault check(const MergeArguments& a) {
  if (const Fault fault = check_images(a.images)) return fault;
  if (!a.labels) return {"labels", 0.0, "not null"};
  if (!a.counts) return {"counts", 0.0, "not null"};
  if (a.levels < 0) return {"levels", static_cast<double>(a.levels), "at least 0"};
  if (!(a.compactness >= 0.0 && a.compactness <= 1.0)) return {"compactness", a.compactness, "in [0, 1]"};
  if (!(a.final_threshold >= 0.0 && std::isfinite(a.final_threshold))) {
    return {"final_threshold", a.final_threshold, "finite and at least 0"};
  }
  return {};
}

inline Fault check(const FeatureArguments& a) {
  if (const Fault fault = check_images(a.images)) return fault;
  if (!a.labels) return {"labels", 0.0, "not null"};
  if (!a.counts) return {"counts", 0.0, "not null"};
  if (!a.tokens) return {"tokens", 0.0, "not null"};
  if (a.max_tokens < 1 || a.max_tokens > kMostPixels) {
    return {"max_tokens", static_cast<double>(a.max_tokens), "in 1...2^26"};
  }
  if (a.bins < 2 || a.bins > kMostBins) return {"bins", static_cast<double>(a.bins), "in 2...64"};
  const std::int64_t cells = static_cast<std::int64_t>(a.max_tokens) * a.bins * a.bins;
  if (cells > kMostBatchPixels) return {"max_tokens * bins * bins", static_cast<double>(cells), "below 2^31"};
  // As float32, with its inverse, sigma must be neither 0 nor infinite.
  if (!(a.sigma >= 1e-30 && a.sigma <= 1e30)) return {"sigma", a.sigma, "in [1e-30, 1e30]"};
  return {};
}

inline Fault check(const VoronoiArguments& a) {
  if (!a.seeds) return {"seeds", 0.0, "not null"};
  if (!a.labels) return {"labels", 0.0, "not null"};
  if (!a.counts) return {"counts", 0.0, "not null"};
  return check_extent(a.batch, a.height, a.width);
}

}  // namespace spit
