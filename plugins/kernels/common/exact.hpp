// Elementary functions that give the same bits everywhere (docs/algorithm.md, section 7): only individually
// rounded float32 + - * / sqrt in a fixed order, and integers. The definition is spit_ref/exact.py;
// a test compares the constants. Compile without contraction and without fast-math.
#pragma once

#include <cmath>
#include <cstring>

#include "target.hpp"

SPIT_NAMESPACE_BEGIN
namespace exact {

constexpr float kLog2E = 1.44269504f;
constexpr float kLn2High = 0.693359375f;
constexpr float kLn2Low = -2.12194440e-4f;
constexpr float kLn2 = 0.693147181f;
constexpr float kSqrtHalf = 0.707106781f;
constexpr float kRoundToInteger = 12582912.0f;  // 1.5 * 2^23
constexpr float kExpLowest = -87.0f;
constexpr float kSmallestNormal = 1.17549435e-38f;  // 2^-126
constexpr float kAsinhLimit = 1.5f;

struct Exp {
  static constexpr float c0 = 1.9875691500e-4f, c1 = 1.3981999507e-3f, c2 = 8.3334519073e-3f, c3 = 4.1665795894e-2f,
                         c4 = 1.6666665459e-1f, c5 = 5.0000001201e-1f;
};

struct Log {
  static constexpr float c0 = 7.0376836292e-2f, c1 = -1.1514610310e-1f, c2 = 1.1676998740e-1f, c3 = -1.2420140846e-1f,
                         c4 = 1.4249322787e-1f, c5 = -1.6668057665e-1f, c6 = 2.0000714765e-1f, c7 = -2.4999993993e-1f,
                         c8 = 3.3333331174e-1f;
};

struct AsinhP {
  static constexpr float c0 = 0.0001791205033498806f, c1 = 0.026574926781747596f, c2 = 0.15215765251667241f,
                         c3 = 0.16666655139489864f;
};

struct AsinhQ {
  static constexpr float c0 = 0.045228751026465186f, c1 = 0.50500330419530988f, c2 = 1.362932400638765f, c3 = 1.0f;
};

SPIT_HD std::int32_t bits_of(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_int(x);
#else
  std::int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

SPIT_HD float from_bits(std::int32_t bits) {
#if defined(__CUDA_ARCH__)
  return __int_as_float(bits);
#else
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
#endif
}

// To the nearest whole number, for |x| < 2^22.
SPIT_HD float round_to_integer(float x) { return (x + kRoundToInteger) - kRoundToInteger; }

// x 2^n for whole n in [-126, 127].
SPIT_HD float scale(float x, float n) { return x * from_bits((static_cast<std::int32_t>(n) + 127) << 23); }

// e^r for |r| <= 0.35.
SPIT_HD float exp_polynomial(float r) {
  const float p = ((((Exp::c0 * r + Exp::c1) * r + Exp::c2) * r + Exp::c3) * r + Exp::c4) * r + Exp::c5;
  return (p * (r * r) + r) + 1.0f;
}

// log(1 + r) - r for 1 + r in [sqrt(1/2), sqrt(2)).
SPIT_HD float log_tail(float r) {
  const float z = r * r;
  const float high = (((Log::c0 * r + Log::c1) * r + Log::c2) * r + Log::c3) * r + Log::c4;
  const float p = (((high * r + Log::c5) * r + Log::c6) * r + Log::c7) * r + Log::c8;
  return p * (z * r) - z * 0.5f;
}

// x = 2^exponent mantissa, mantissa in [sqrt(1/2), sqrt(2)); x positive and normal.
struct Split {
  float exponent;
  float mantissa;
};

SPIT_HD Split split(float x) {
  const std::int32_t bits = bits_of(x);
  const float e = static_cast<float>((bits >> 23) - 126);
  const float m = from_bits((bits & 0x007FFFFF) | 0x3F000000);
  const bool low = m < kSqrtHalf;
  return {low ? e - 1.0f : e, low ? m + m : m};
}

// e^x for x <= 0; exactly 0 for x < -87.
SPIT_HD float exp(float x) {
  const float clipped = x < kExpLowest ? kExpLowest : x;
  const float n = round_to_integer(clipped * kLog2E);
  const float r = (clipped - n * kLn2High) - n * kLn2Low;
  const float value = scale(exp_polynomial(r), n);
  return x < kExpLowest ? 0.0f : value;
}

// Natural logarithm of a positive normal number.
SPIT_HD float log(float x) {
  const Split s = split(x);
  const float r = s.mantissa - 1.0f;
  const float tail = log_tail(r);
  return (r + (tail + s.exponent * kLn2Low)) + s.exponent * kLn2High;
}

// A constant exponent in two parts: high has 12 bits, so that its product with the binary exponent
// of any float32 is exact; sum is the float32 nearest to the whole.
struct Exponent {
  float high;
  float low;
  float sum;
};

// x to a constant power in (0, 1), for x in [0, 1]; subnormal x count as 0.
SPIT_HD float power(float x, Exponent exponent) {
  const bool tiny = x < kSmallestNormal;
  const Split s = split(tiny ? 1.0f : x);
  const float r = s.mantissa - 1.0f;
  const float log_m = r + log_tail(r);
  const float scaled = log_m * exponent.sum;
  const float high = s.exponent * exponent.high;
  const float n = round_to_integer(high + scaled * kLog2E);
  const float rest = ((high - n) * kLn2 + scaled) + (s.exponent * exponent.low) * kLn2;
  const float value = scale(exp_polynomial(rest), n);
  return tiny ? 0.0f : value;
}

// Inverse hyperbolic sine for |x| < 2^60.
SPIT_HD float asinh(float x) {
  const std::int32_t sign = bits_of(x) & static_cast<std::int32_t>(0x80000000u);
  const float size = from_bits(bits_of(x) & 0x7FFFFFFF);
  const float square = size * size;
  const float p = ((AsinhP::c0 * square + AsinhP::c1) * square + AsinhP::c2) * square + AsinhP::c3;
  const float q = ((AsinhQ::c0 * square + AsinhQ::c1) * square + AsinhQ::c2) * square + AsinhQ::c3;
  const float ratio = p / q;
  const float near = size - size * (square * ratio);
  const float far = log(size + sqrtf(square + 1.0f));
  return from_bits(bits_of(size < kAsinhLimit ? near : far) | sign);
}

}  // namespace exact
SPIT_NAMESPACE_END
