// Reads pixels as their description says, at run time: one kernel serves every type and kind of
// pixels where a choice that is the same for all threads costs nothing.
#pragma once

#include "pixel_readers.hpp"

SPIT_NAMESPACE_BEGIN

// Values of one channel, as float32.
struct DescribedChannel {
  const char* data;
  bool bytes;

  SPIT_HD DescribedChannel operator+(std::int64_t count) const { return {data + count * (bytes ? 1 : 4), bytes}; }
  SPIT_HD float operator[](std::int64_t i) const {
    if (bytes) return static_cast<float>(reinterpret_cast<const std::uint8_t*>(data)[i]);
    return reinterpret_cast<const float*>(data)[i];
  }
};

// The same values as ComputedPixels of the type and kind described.
struct DescribedPixels {
  const char* data;
  int pixels;  // per channel
  bool bytes;
  PixelKind kind;

  static DescribedPixels of(const SpitImages& images) {
    return {static_cast<const char*>(images.data), images.height * images.width, images.type == SPIT_UINT8,
            static_cast<PixelKind>(images.pixels)};
  }

  SPIT_HD DescribedChannel channel(int image, int c) const {
    return DescribedChannel{data, bytes} + (static_cast<std::int64_t>(image) * 3 + c) * pixels;
  }
  SPIT_HD float unit(float raw, int c) const {
    if (kind == PixelKind::kUint8) return unit_value<float, PixelKind::kUint8>(raw, c);
    if (kind == PixelKind::kImagenet) return unit_value<float, PixelKind::kImagenet>(raw, c);
    return unit_value<float, PixelKind::kUnit>(raw, c);
  }
  template <int kChannel>
  SPIT_HD float contrasted(float raw) const {
    return contrast<kChannel>(unit(raw, kChannel));
  }
};

SPIT_NAMESPACE_END
