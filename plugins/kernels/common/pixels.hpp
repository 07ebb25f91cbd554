// What raw pixel values mean: uint8 or float32 planes, as 0...255, [0, 1] or ImageNet-normalised
// (docs/algorithm.md). Nothing stands between the image and the exact arithmetic.
#pragma once

#include "../contracts.hpp"
#include "target.hpp"

namespace spit {

enum class PixelKind : int { kUint8 = SPIT_PIXELS_UINT8, kUnit = SPIT_PIXELS_UNIT, kImagenet = SPIT_PIXELS_IMAGENET };

}  // namespace spit

SPIT_NAMESPACE_BEGIN

constexpr float kImagenetMean[3] = {0.485f, 0.456f, 0.406f};
constexpr float kImagenetStd[3] = {0.229f, 0.224f, 0.225f};

// NaN becomes 0, the rest is clipped to [0, 1].
SPIT_HD float unit_clip(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

template <class Value, PixelKind kKind>
SPIT_HD float unit_value(Value raw, int channel) {
  const float x = static_cast<float>(raw);
  if constexpr (kKind == PixelKind::kUint8) {
    return unit_clip(x / 255.0f);
  } else if constexpr (kKind == PixelKind::kImagenet) {
    constexpr float mean0 = kImagenetMean[0], mean1 = kImagenetMean[1], mean2 = kImagenetMean[2];
    constexpr float std0 = kImagenetStd[0], std1 = kImagenetStd[1], std2 = kImagenetStd[2];
    const float mean = channel == 0 ? mean0 : channel == 1 ? mean1 : mean2;
    const float std = channel == 0 ? std0 : channel == 1 ? std1 : std2;
    return unit_clip(x * std + mean);
  } else {
    return unit_clip(x);
  }
}

SPIT_NAMESPACE_END
