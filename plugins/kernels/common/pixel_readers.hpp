// Where the contrasted colours of a pixel come from: computed, or looked up for 8-bit values.
#pragma once

#include "pixel_features.hpp"

SPIT_NAMESPACE_BEGIN

// Reads one image of a batch [batch, 3, height, width].
template <class ValueType, PixelKind kKind>
struct ComputedPixels {
  using Value = ValueType;
  const Value* data;
  int pixels;  // per channel

  SPIT_HD const Value* channel(int image, int c) const {
    return data + (static_cast<std::int64_t>(image) * 3 + c) * pixels;
  }
  SPIT_HD float unit(Value raw, int c) const { return unit_value<Value, kKind>(raw, c); }
  template <int kChannel>
  SPIT_HD float contrasted(Value raw) const {
    return contrast<kChannel>(unit(raw, kChannel));
  }
};

// The 256 possible contrasted values of each channel, computed by the same functions once.
struct ContrastTable {
  float values[3][256];
};

template <int kChannel>
inline void fill_contrast(ContrastTable& table) {
  for (int v = 0; v < 256; ++v) {
    const float unit = unit_value<std::uint8_t, PixelKind::kUint8>(static_cast<std::uint8_t>(v), kChannel);
    table.values[kChannel][v] = contrast<kChannel>(unit);
  }
}

inline void fill(ContrastTable& table) {
  fill_contrast<0>(table);
  fill_contrast<1>(table);
  fill_contrast<2>(table);
}

struct TabulatedPixels : ComputedPixels<std::uint8_t, PixelKind::kUint8> {
  const ContrastTable* table;

  template <int kChannel>
  SPIT_HD float contrasted(std::uint8_t raw) const {
    return table->values[kChannel][raw];
  }
};

SPIT_NAMESPACE_END
