// From a run-time description of the images to the type that reads them.
#pragma once

#include "pixel_readers.hpp"

SPIT_NAMESPACE_BEGIN

template <class Use>
void with_pixels(const SpitImages& images, const ContrastTable* table, Use&& use) {
  const int pixels = images.height * images.width;
  if (images.type == SPIT_UINT8) {
    const ComputedPixels<std::uint8_t, PixelKind::kUint8> plain{static_cast<const std::uint8_t*>(images.data), pixels};
    if (table) return use(TabulatedPixels{plain, table});
    return use(plain);
  }
  const auto* values = static_cast<const float*>(images.data);
  switch (static_cast<PixelKind>(images.pixels)) {
    case PixelKind::kUint8: return use(ComputedPixels<float, PixelKind::kUint8>{values, pixels});
    case PixelKind::kUnit: return use(ComputedPixels<float, PixelKind::kUnit>{values, pixels});
    case PixelKind::kImagenet: return use(ComputedPixels<float, PixelKind::kImagenet>{values, pixels});
  }
}

SPIT_NAMESPACE_END
