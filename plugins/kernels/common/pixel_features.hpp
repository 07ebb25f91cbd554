// Per-pixel formulas of docs/algorithm.md, sections 1 and 2, in the order of operations of
// spit_ref/pixel_features.py. A test compares the constants.
#pragma once

#include "exact.hpp"
#include "pixels.hpp"

SPIT_NAMESPACE_BEGIN

// Kumaraswamy contrast: exponents lambda and beta of the three channels.
constexpr exact::Exponent kContrastLambda[3] = {{0.5390625f, -6.2500003e-05f, 0.538999975f},
                                                {0.507080078f, -8.00781272e-05f, 0.507000029f},
                                                {0.404052734f, -5.27343764e-05f, 0.404000014f}};
constexpr exact::Exponent kContrastBeta[3] = {{0.61328125f, -9.86288228e-07f, 0.613280237f},
                                              {0.622558594f, -3.64614389e-05f, 0.622522116f},
                                              {0.583984375f, 0.000108159664f, 0.584092557f}};

constexpr float kGreyRed = 0.299f;
constexpr float kGreyGreen = 0.587f;
constexpr float kGreyBlue = 0.114f;
constexpr float kSaturation = 2.718f;
constexpr float kTwiceChromaBlue = 1.128f;
constexpr float kTwiceChromaRed = 1.426f;
constexpr float kColourSteepness = 10.0f;
constexpr float kColourScale = 0.333530903f;       // 1 / asinh(10)
constexpr float kGradientScale = 0.248848662f;     // 1 / asinh(27.8)
constexpr float kScharrScale = 0.579166651f;       // 27.8 / (3 * 16)
constexpr float kGradientNormScale = 1.49120355f;  // 2 / (sqrt(2) asinh(27.8 * 13/16) / asinh(27.8))
constexpr int kDiffusionSteps = 4;
constexpr float kDiffusionKappaInverse = 10.0f;
constexpr float kDiffusionGamma = 0.5f;

template <int kChannel>
SPIT_HD float contrast(float unit) {
  constexpr exact::Exponent lambda = kContrastLambda[kChannel];
  constexpr exact::Exponent beta = kContrastBeta[kChannel];
  const float inner = 1.0f - exact::power(unit, lambda);
  return 1.0f - exact::power(inner, beta);
}

SPIT_HD float grey(float r, float g, float b) { return (r * kGreyRed + g * kGreyGreen) + b * kGreyBlue; }

SPIT_HD float stretched(float v) { return exact::asinh(v * kColourSteepness) * kColourScale; }

// Saturated YCbCr of contrasted colours, stretched around the middle.
SPIT_HD void opponent_colours(float r, float g, float b, float& luma, float& blue, float& red) {
  const float y = grey(r, g, b);
  r = unit_clip((r - y) * kSaturation + y);
  g = unit_clip((g - y) * kSaturation + y);
  b = unit_clip((b - y) * kSaturation + y);
  const float l = grey(r, g, b);
  luma = stretched(l * 2.0f - 1.0f);
  blue = stretched((b - l) * kTwiceChromaBlue);
  red = stretched((r - l) * kTwiceChromaRed);
}

// Perona-Malik flux of a forward difference (IEEE PAMI 12(7), 1990, equation 8).
SPIT_HD float flux(float difference) {
  const float scaled = difference * kDiffusionKappaInverse;
  return exact::exp(-(scaled * scaled)) * difference;
}

// Scharr, from the summed channels around a pixel: the sides' outer ones and the middle one.
SPIT_HD float gradient(float outer_before, float middle, float outer_after) {
  const float sum = (outer_before + outer_after) * 3.0f + middle * 10.0f;
  return exact::asinh(sum * kScharrScale) * kGradientScale;
}

// The fourth vertex feature.
SPIT_HD float gradient_length(float gy, float gx) { return sqrtf(gy * gy + gx * gx) * kGradientNormScale - 1.0f; }

SPIT_NAMESPACE_END
