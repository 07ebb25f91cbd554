// The fields of the plugins. Written by `python -m plugins contracts --cpp` from
// contracts.py, to which a test holds it.
// clang-format off
#pragma once

#include "contract.hpp"

#define SPIT_CONTRACTS_JSON "{\"SuperpixelMerge\": 1, \"RegionFeatures\": 1, \"VoronoiTessellation\": 1}"

namespace spit::tensorrt {

namespace superpixel_merge {
enum Field { kPixels, kLevels, kCompactness, kFinalThreshold };
inline constexpr const char* kPixelsChoices[] = {"uint8", "unit", "imagenet"};
inline constexpr FieldContract kFields[] = {
    {"pixels", FieldKind::kChoice, false, 0, 0, 2, kPixelsChoices},
    {"levels", FieldKind::kWhole, false, 4, 0, 16, nullptr},
    {"compactness", FieldKind::kReal, false, 0.0, 0, 1, nullptr},
    {"final_threshold", FieldKind::kReal, false, 0.0, 0, 8, nullptr},
};
inline constexpr OpContract kContract = {"SuperpixelMerge", 1, kFields, 4};
}  // namespace superpixel_merge

namespace region_features {
enum Field { kPixels, kMaxTokens, kBins, kSigma, kGradient, kInterpolation, kTokenType };
inline constexpr const char* kPixelsChoices[] = {"uint8", "unit", "imagenet"};
inline constexpr const char* kInterpolationChoices[] = {"bilinear", "nearest"};
inline constexpr const char* kTokenTypeChoices[] = {"float32", "float16", "bfloat16"};
inline constexpr FieldContract kFields[] = {
    {"pixels", FieldKind::kChoice, false, 0, 0, 2, kPixelsChoices},
    {"max_tokens", FieldKind::kWhole, true, 0, 1, 1048576, nullptr},
    {"bins", FieldKind::kWhole, false, 16, 2, 64, nullptr},
    {"sigma", FieldKind::kReal, false, 0.025, 0.001, 10, nullptr},
    {"gradient", FieldKind::kWhole, false, 1, 0, 1, nullptr},
    {"interpolation", FieldKind::kChoice, false, 0, 0, 1, kInterpolationChoices},
    {"token_type", FieldKind::kChoice, false, 0, 0, 2, kTokenTypeChoices},
};
inline constexpr OpContract kContract = {"RegionFeatures", 1, kFields, 7};
}  // namespace region_features

namespace voronoi_tessellation {
enum Field { kHeight, kWidth };
inline constexpr FieldContract kFields[] = {
    {"height", FieldKind::kWhole, true, 0, 1, 67108864, nullptr},
    {"width", FieldKind::kWhole, true, 0, 1, 67108864, nullptr},
};
inline constexpr OpContract kContract = {"VoronoiTessellation", 1, kFields, 2};
}  // namespace voronoi_tessellation

}  // namespace spit::tensorrt
