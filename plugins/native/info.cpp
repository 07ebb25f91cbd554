#include "info.hpp"

#include "../kernels/common/validation.hpp"
#include "../kernels/features/kernel_weights.hpp"
#include "../kernels/merge/contraction.hpp"
#include "../kernels/voronoi/voronoi_tessellation.hpp"
#include "dispatch.hpp"
#include "thread_pool.hpp"

namespace nb = nanobind;

namespace spit::native {
namespace {

template <class... Values>
nb::tuple floats(Values... values) {
  return nb::make_tuple(static_cast<double>(values)...);
}

nb::tuple exponent(const exact::Exponent& e) { return floats(e.high, e.low, e.sum); }

nb::dict exact_constants() {
  using namespace exact;
  nb::dict d;
  d["LOG2_E"] = kLog2E;
  d["LN2_HIGH"] = kLn2High;
  d["LN2_LOW"] = kLn2Low;
  d["LN2"] = kLn2;
  d["SQRT_HALF"] = kSqrtHalf;
  d["ROUND_TO_INTEGER"] = kRoundToInteger;
  d["EXP_LOWEST"] = kExpLowest;
  d["SMALLEST_NORMAL"] = kSmallestNormal;
  d["ASINH_LIMIT"] = kAsinhLimit;
  d["EXP_COEFFICIENTS"] = floats(Exp::c0, Exp::c1, Exp::c2, Exp::c3, Exp::c4, Exp::c5);
  d["LOG_COEFFICIENTS"] = floats(Log::c0, Log::c1, Log::c2, Log::c3, Log::c4, Log::c5, Log::c6, Log::c7, Log::c8);
  d["ASINH_P"] = floats(AsinhP::c0, AsinhP::c1, AsinhP::c2, AsinhP::c3);
  d["ASINH_Q"] = floats(AsinhQ::c0, AsinhQ::c1, AsinhQ::c2, AsinhQ::c3);
  return d;
}

nb::dict pixel_constants() {
  nb::dict d;
  d["IMAGENET_MEAN"] = floats(kImagenetMean[0], kImagenetMean[1], kImagenetMean[2]);
  d["IMAGENET_STD"] = floats(kImagenetStd[0], kImagenetStd[1], kImagenetStd[2]);
  d["CONTRAST_LAMBDA"] =
      nb::make_tuple(exponent(kContrastLambda[0]), exponent(kContrastLambda[1]), exponent(kContrastLambda[2]));
  d["CONTRAST_BETA"] =
      nb::make_tuple(exponent(kContrastBeta[0]), exponent(kContrastBeta[1]), exponent(kContrastBeta[2]));
  d["GREY"] = floats(kGreyRed, kGreyGreen, kGreyBlue);
  d["SATURATION"] = kSaturation;
  d["TWICE_CHROMA_BLUE"] = kTwiceChromaBlue;
  d["TWICE_CHROMA_RED"] = kTwiceChromaRed;
  d["COLOUR_STEEPNESS"] = kColourSteepness;
  d["COLOUR_SCALE"] = kColourScale;
  d["GRADIENT_SCALE"] = kGradientScale;
  d["SCHARR_SCALE"] = kScharrScale;
  d["GRADIENT_NORM_SCALE"] = kGradientNormScale;
  d["DIFFUSION_STEPS"] = kDiffusionSteps;
  d["DIFFUSION_KAPPA_INVERSE"] = kDiffusionKappaInverse;
  d["DIFFUSION_GAMMA"] = kDiffusionGamma;
  return d;
}

nb::dict merge_constants() {
  nb::dict d;
  d["SCORE_LEVELS"] = kScoreLevels;
  d["FIXED_POINT"] = kFixedPoint;
  d["ALONE_LIMIT"] = kAloneLimit;
  d["SMALLEST_DEVIATION"] = kSmallestDeviation;
  return d;
}

}  // namespace

nb::dict info() {
  nb::dict d;
  d["simd"] = variant();
  d["threads"] = available_threads();
  d["exact"] = exact_constants();
  d["pixel_features"] = pixel_constants();
  d["superpixel_merge"] = merge_constants();
  d["HISTOGRAM_ONE"] = kHistogramOne;
  d["SUBPIXEL"] = kSubpixel;
  d["MOST_PIXELS"] = kMostPixels;
  return d;
}

}  // namespace spit::native
