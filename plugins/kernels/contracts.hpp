// The contracts of the ops as tables, and the list of all ops.
// Written by plugins/generate.py from spit_edge/base/contracts.py.
// clang-format off
#pragma once

#include <tuple>

#include "common/contract.hpp"
#include "tokenizer_api.h"

#define SPIT_CONTRACTS_JSON "{\"SuperpixelMerge\": 1, \"RegionFeatures\": 1, \"VoronoiTessellation\": 1}"
// X(structure of the arguments, name)
#define SPIT_EACH_OP(X) X(SpitMerge, superpixel_merge) X(SpitFeatures, region_features) X(SpitVoronoi, voronoi_tessellation)

SPIT_NAMESPACE_BEGIN

constexpr std::int64_t kMostPixels = 67108864;
constexpr const char* kMostPixelsFit = "lie in [1, 67108864]";

template <template <class> class Each>
using ForOps = std::tuple<Each<SpitMerge>, Each<SpitFeatures>, Each<SpitVoronoi>>;

inline constexpr const char* kPixelsChoices[] = {"uint8", "unit", "imagenet"};
inline constexpr const char* kInterpolationChoices[] = {"bilinear", "nearest"};
inline constexpr const char* kTokenTypeChoices[] = {"float32", "float16", "bfloat16"};

template <>
struct Contract<SpitMerge> {
  static constexpr const char* kName = "SuperpixelMerge";
  static constexpr bool kHasImages = true;
  static constexpr Port kInputs[] = {
    {"images", Type::kFloat32, -1, 4, {kBatch, 3, kHeight, kWidth}, "have the sizes [B, 3, H, W], alike in all inputs"},
  };
  static constexpr Port kOutputs[] = {
    {"labels", Type::kInt32, -1, 3, {kBatch, kHeight, kWidth}, "have the sizes [B, H, W], alike in all inputs"},
    {"counts", Type::kInt32, -1, 1, {kBatch}, "have the sizes [B], alike in all inputs"},
  };
  static constexpr Field kFields[] = {
    {"pixels", FieldKind::kChoice, false, 0, 0, 2, "a string", "be one of uint8, unit, imagenet", kPixelsChoices},
    {"levels", FieldKind::kWhole, false, 4, 0, 16, "an integer", "lie in [0, 16]", nullptr},
    {"compactness", FieldKind::kReal, false, 0.0, 0, 1, "a number", "lie in [0, 1]", nullptr},
    {"final_threshold", FieldKind::kReal, false, 0.0, 0, 8, "a number", "lie in [0, 8]", nullptr},
  };
  template <class Arguments, class Use>
  static void inputs(Arguments& a, Use&& use) { use(kInputs[0], a.images); }
  template <class Arguments, class Use>
  static void outputs(Arguments& a, Use&& use) { use(kOutputs[0], a.labels); use(kOutputs[1], a.counts); }
  template <class Arguments, class Use>
  static void fields(Arguments& a, Use&& use) { use(kFields[0], a.images.pixels); use(kFields[1], a.levels); use(kFields[2], a.compactness); use(kFields[3], a.final_threshold); }
  // What a dimension of the tables is.
  static std::int64_t size(const SpitMerge& a, int dimension) {
    switch (dimension) { case kBatch: return a.images.batch; case kHeight: return a.images.height; case kWidth: return a.images.width; case kField - 1: return a.levels; default: return dimension; }
  }
};

template <>
struct Contract<SpitFeatures> {
  static constexpr const char* kName = "RegionFeatures";
  static constexpr bool kHasImages = true;
  static constexpr Port kInputs[] = {
    {"images", Type::kFloat32, -1, 4, {kBatch, 3, kHeight, kWidth}, "have the sizes [B, 3, H, W], alike in all inputs"},
    {"labels", Type::kInt32, -1, 3, {kBatch, kHeight, kWidth}, "have the sizes [B, H, W], alike in all inputs"},
    {"counts", Type::kInt32, -1, 1, {kBatch}, "have the sizes [B], alike in all inputs"},
  };
  static constexpr Port kOutputs[] = {
    {"tokens", Type::kFloat32, 6, 3, {kBatch, kField - 1, kTokenSize}, "have the sizes [B, max_tokens, token_size], alike in all inputs"},
  };
  static constexpr Field kFields[] = {
    {"pixels", FieldKind::kChoice, false, 0, 0, 2, "a string", "be one of uint8, unit, imagenet", kPixelsChoices},
    {"max_tokens", FieldKind::kWhole, true, 0, 1, 1048576, "an integer", "lie in [1, 1048576]", nullptr},
    {"bins", FieldKind::kWhole, false, 16, 2, 64, "an integer", "lie in [2, 64]", nullptr},
    {"sigma", FieldKind::kReal, false, 0.025, 0.001, 10, "a number", "lie in [0.001, 10]", nullptr},
    {"gradient", FieldKind::kWhole, false, 1, 0, 1, "an integer", "lie in [0, 1]", nullptr},
    {"interpolation", FieldKind::kChoice, false, 0, 0, 1, "a string", "be one of bilinear, nearest", kInterpolationChoices},
    {"token_type", FieldKind::kChoice, false, 0, 0, 2, "a string", "be one of float32, float16, bfloat16", kTokenTypeChoices},
  };
  template <class Arguments, class Use>
  static void inputs(Arguments& a, Use&& use) { use(kInputs[0], a.images); use(kInputs[1], a.labels); use(kInputs[2], a.counts); }
  template <class Arguments, class Use>
  static void outputs(Arguments& a, Use&& use) { use(kOutputs[0], a.tokens); }
  template <class Arguments, class Use>
  static void fields(Arguments& a, Use&& use) { use(kFields[0], a.images.pixels); use(kFields[1], a.max_tokens); use(kFields[2], a.bins); use(kFields[3], a.sigma); use(kFields[4], a.gradient); use(kFields[5], a.interpolation); use(kFields[6], a.token_type); }
  // What a dimension of the tables is.
  static std::int64_t size(const SpitFeatures& a, int dimension) {
    switch (dimension) { case kBatch: return a.images.batch; case kHeight: return a.images.height; case kWidth: return a.images.width; case kTokenSize: return std::int64_t{a.bins} * a.bins * (a.gradient ? 5 : 4); case kField - 1: return a.max_tokens; case kField - 2: return a.bins; case kField - 4: return a.gradient; default: return dimension; }
  }
};

template <>
struct Contract<SpitVoronoi> {
  static constexpr const char* kName = "VoronoiTessellation";
  static constexpr bool kHasImages = false;
  static constexpr Port kInputs[] = {
    {"seeds", Type::kInt64, -1, 1, {kBatch}, "have the sizes [B], alike in all inputs"},
  };
  static constexpr Port kOutputs[] = {
    {"labels", Type::kInt32, -1, 3, {kBatch, kField - 0, kField - 1}, "have the sizes [B, height, width], alike in all inputs"},
    {"counts", Type::kInt32, -1, 1, {kBatch}, "have the sizes [B], alike in all inputs"},
  };
  static constexpr Field kFields[] = {
    {"height", FieldKind::kWhole, true, 0, 1, 67108864, "an integer", "lie in [1, 67108864]", nullptr},
    {"width", FieldKind::kWhole, true, 0, 1, 67108864, "an integer", "lie in [1, 67108864]", nullptr},
  };
  template <class Arguments, class Use>
  static void inputs(Arguments& a, Use&& use) { use(kInputs[0], a.seeds); }
  template <class Arguments, class Use>
  static void outputs(Arguments& a, Use&& use) { use(kOutputs[0], a.labels); use(kOutputs[1], a.counts); }
  template <class Arguments, class Use>
  static void fields(Arguments& a, Use&& use) { use(kFields[0], a.height); use(kFields[1], a.width); }
  // What a dimension of the tables is.
  static std::int64_t size(const SpitVoronoi& a, int dimension) {
    switch (dimension) { case kBatch: return a.batch; case kHeight: return a.height; case kWidth: return a.width; case kField - 0: return a.height; case kField - 1: return a.width; default: return dimension; }
  }
};

SPIT_NAMESPACE_END
