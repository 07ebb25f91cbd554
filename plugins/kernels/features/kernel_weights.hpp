// Gaussian weights of a value at the bin centres, as whole numbers (docs/algorithm.md, section 4, "Joint
// histograms"): only the few bins near the value have one that is not 0.
#pragma once

#include "../common/exact.hpp"

SPIT_NAMESPACE_BEGIN

constexpr int kMaxBins = 64;
constexpr int kUsualWindow = 3;             // bins near a value, with 16 of them and the published bandwidth
constexpr float kHistogramOne = 262144.0f;  // 2^18, a weight of 1
constexpr float kHistogramScale = 4.0f / 68719476736.0f;  // 4 / kHistogramOne^2

struct KernelWeights {
  float centres[kMaxBins];
  float inverse;  // 1 / sigma
  int bins;
  int window;      // bins that may have a weight
  float per_unit;  // bins per unit of the value
  float offset;    // where the window begins, for the value 0

  static KernelWeights of(int bins, double sigma) {
    KernelWeights w{};
    for (int k = 0; k < bins; ++k) w.centres[k] = static_cast<float>(-1.0 + (2 * k + 1) / static_cast<double>(bins));
    w.inverse = 1.0f / static_cast<float>(sigma);
    w.bins = bins;
    // exp(-d^2 / 2) 2^18 rounds to 0 from d = 5.14 on; the rest of the reach covers roundings.
    const double reach = 5.25 * sigma + 1e-5;
    const double span = reach * bins + 1.0;
    w.window = smaller(larger(span < bins ? static_cast<int>(span) : bins, kUsualWindow), bins);
    w.per_unit = 0.5f * static_cast<float>(bins);
    const double offset = (1.0 - reach) * 0.5 * bins - 0.5;
    w.offset = static_cast<float>(offset < -4.0 * bins ? -4.0 * bins : offset);
    return w;
  }

  // First bin of the window of a value.
  SPIT_HD int start(float f) const {
    const float below = clip(f * per_unit + offset, -1.0f, static_cast<float>(bins));
    return smaller(static_cast<int>(below + 1.0f), bins - window);
  }

  SPIT_HD std::uint32_t weight(float f, int bin) const {
    const float t = (f - centres[bin]) * inverse;
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(exact::exp((t * t) * -0.5f) * kHistogramOne + 0.5f));
  }
};

SPIT_NAMESPACE_END
