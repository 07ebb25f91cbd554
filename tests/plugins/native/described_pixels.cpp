// The reader of the CUDA kernels and those of the CPU give the same bits for every type and kind of pixels.
#include "../../../plugins/kernels/common/described_pixels.hpp"

#include <cstdio>
#include <limits>
#include <vector>

#include "../../../plugins/kernels/common/pixel_dispatch.hpp"

namespace {

constexpr int kSide = 64;
constexpr int kBatch = 2;

template <class Pixels, int kChannel>
int differences(const spit::DescribedPixels& described, const Pixels& expected) {
  int found = 0;
  for (int image = 0; image < kBatch; ++image) {
    const auto a = described.channel(image, kChannel) + kSide;
    const auto b = expected.channel(image, kChannel) + kSide;
    for (int i = -kSide; i < kSide * (kSide - 1); ++i) {
      const auto same = [](float x, float y) { return spit::exact::bits_of(x) == spit::exact::bits_of(y); };
      found += !same(described.unit(a[i], kChannel), expected.unit(b[i], kChannel));
      found += !same(described.template contrasted<kChannel>(a[i]), expected.template contrasted<kChannel>(b[i]));
    }
  }
  return found;
}

int differences(const void* data, bool bytes, spit::PixelKind kind, const spit::ContrastTable* table) {
  const SpitImages images{data, bytes ? SPIT_UINT8 : SPIT_FLOAT32, static_cast<int>(kind), kBatch, kSide, kSide};
  const auto described = spit::DescribedPixels::of(images);
  int found = -1;
  spit::with_pixels(images, table, [&](const auto& expected) {
    using Pixels = std::decay_t<decltype(expected)>;
    found = differences<Pixels, 0>(described, expected) + differences<Pixels, 1>(described, expected) +
            differences<Pixels, 2>(described, expected);
  });
  return found;
}

}  // namespace

int main() {
  std::vector<std::uint8_t> bytes(kBatch * 3 * kSide * kSide);
  std::vector<float> values(bytes.size()), centred(bytes.size());
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    bytes[i] = static_cast<std::uint8_t>(state >> 24);
    values[i] = static_cast<float>(state >> 8) / 65536.0f;
    centred[i] = values[i] / 64.0f - 2.0f;
  }
  const float odd[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -0.0f, 1e-40f};
  for (int i = 0; i < 4; ++i) values[i] = centred[i] = odd[i];
  spit::ContrastTable table;
  spit::fill(table);
  int found = differences(bytes.data(), true, spit::PixelKind::kUint8, nullptr);
  found += differences(bytes.data(), true, spit::PixelKind::kUint8, &table);
  for (const float* data : {values.data(), centred.data()}) {
    for (const auto kind : {spit::PixelKind::kUint8, spit::PixelKind::kUnit, spit::PixelKind::kImagenet}) {
      found += differences(data, false, kind, nullptr);
    }
  }
  std::printf("%d values differ\n", found);
  return found != 0;
}
