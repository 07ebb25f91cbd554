// Types of the numbers in a token row. Everything is computed in float32 and rounded once, to nearest
// even, at the store.
#pragma once

#include "../common/exact.hpp"

SPIT_NAMESPACE_BEGIN

struct Float32 {
  using Stored = float;
  static SPIT_HD Stored rounded(float x) { return x; }
};

struct Bfloat16 {
  using Stored = std::uint16_t;
  static SPIT_HD Stored rounded(float x) {
    const std::uint32_t bits = static_cast<std::uint32_t>(exact::bits_of(x));
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<Stored>((bits >> 16) | 0x40u);  // NaN
    return static_cast<Stored>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
  }
};

struct Float16 {
  using Stored = std::uint16_t;
  static SPIT_HD Stored rounded(float x) {
    const std::uint32_t bits = static_cast<std::uint32_t>(exact::bits_of(x));
    const std::uint32_t sign = (bits >> 16) & 0x8000u, size = bits & 0x7FFFFFFFu;
    std::uint32_t half;
    if (size > 0x7F800000u) {
      half = 0x7E00u;  // NaN
    } else if (size >= 0x477FF000u) {
      half = 0x7C00u;  // 65520 and more round to infinity
    } else if (size < 0x38800000u) {
      // Subnormal: adding 1/2 puts the last bit where the float32 addition rounds, to nearest even.
      const float shifted = exact::from_bits(static_cast<std::int32_t>(size)) + 0.5f;
      half = static_cast<std::uint32_t>(exact::bits_of(shifted)) - 0x3F000000u;
    } else {
      half = (size - 0x38000000u + 0xFFFu + ((size >> 13) & 1u)) >> 13;
    }
    return static_cast<Stored>(sign | half);
  }
};

SPIT_NAMESPACE_END
