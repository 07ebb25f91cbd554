// What plugin.hpp has to know of each op. Shapes of inputs have the right rank when they come here.
#pragma once

#include <NvInferRuntime.h>

#include "../kernels/launch.hpp"
#include "../kernels/validation.hpp"
#include "contract_tables.hpp"
#include "values.hpp"

namespace spit::tensorrt {

using nvinfer1::DataType;
using nvinfer1::Dims;
using nvinfer1::DimsExprs;
using nvinfer1::IExprBuilder;
using nvinfer1::PluginTensorDesc;

inline void set_shape(DimsExprs& shape, std::initializer_list<const nvinfer1::IDimensionExpr*> dims) {
  shape.nbDims = 0;
  for (const auto* dim : dims) shape.d[shape.nbDims++] = dim;
}

// Images as TensorRT has them: float32 [batch, 3, height, width].
inline Fault arrange_images(const Dims& shape, double pixels, Images& images) {
  if (shape.d[1] != 3) return {"channels", static_cast<double>(shape.d[1]), "3"};
  if (const Fault fault = check_extent(shape.d[0], shape.d[2], shape.d[3])) return fault;
  images = {nullptr,
            false,
            static_cast<PixelKind>(static_cast<int>(pixels)),
            static_cast<int>(shape.d[0]),
            static_cast<int>(shape.d[2]),
            static_cast<int>(shape.d[3])};
  return {};
}

struct SuperpixelMergeOp {
  using Arguments = MergeArguments;
  static constexpr const OpContract& kContract = superpixel_merge::kContract;
  static constexpr int kInputs = 1, kOutputs = 2;

  static int rank(int) { return 4; }
  static const char* input_name(int) { return "images"; }
  static bool supports(int position, DataType type) { return type == (position ? DataType::kINT32 : DataType::kFLOAT); }
  static DataType output_type(const Values&, int) { return DataType::kINT32; }
  static void output_shapes(const Values&, const DimsExprs* in, DimsExprs* out, IExprBuilder&) {
    set_shape(out[0], {in[0].d[0], in[0].d[2], in[0].d[3]});
    set_shape(out[1], {in[0].d[0]});
  }
  static Fault arrange(const Values& values, const Dims* in, Arguments& a) {
    a.levels = values.whole(superpixel_merge::kLevels);
    a.compactness = values[superpixel_merge::kCompactness];
    a.final_threshold = values[superpixel_merge::kFinalThreshold];
    return arrange_images(in[0], values[superpixel_merge::kPixels], a.images);
  }
  static void attach(Arguments& a, const PluginTensorDesc*, const void* const* in, void* const* out) {
    a.images.data = in[0];
    a.labels = static_cast<std::int32_t*>(out[0]);
    a.counts = static_cast<std::int32_t*>(out[1]);
  }
  static std::size_t workspace(const Arguments& a) { return cuda::superpixel_merge_workspace(a); }
  static cudaError_t run(const Arguments& a, cudaStream_t stream) { return cuda::superpixel_merge(a, stream); }
};

struct RegionFeaturesOp {
  using Arguments = FeatureArguments;
  static constexpr const OpContract& kContract = region_features::kContract;
  static constexpr int kInputs = 3, kOutputs = 1;

  static int rank(int input) { return input == 0 ? 4 : input == 1 ? 3 : 1; }
  static const char* input_name(int input) { return input == 0 ? "images" : input == 1 ? "labels" : "counts"; }
  static bool supports(int position, DataType type) {
    if (position == 0) return type == DataType::kFLOAT;
    if (position < kInputs) return type == DataType::kINT32;
    return type == DataType::kFLOAT || type == DataType::kHALF || type == DataType::kBF16;
  }
  static DataType output_type(const Values& values, int) {
    constexpr DataType types[] = {DataType::kFLOAT, DataType::kHALF, DataType::kBF16};
    return types[values.whole(region_features::kTokenType)];
  }
  static int row_size(const Values& values) {
    const int bins = values.whole(region_features::kBins);
    return bins * bins * (values.whole(region_features::kGradient) ? 5 : 4);
  }
  static void output_shapes(const Values& values, const DimsExprs* in, DimsExprs* out, IExprBuilder& expressions) {
    const int rows = values.whole(region_features::kMaxTokens);
    set_shape(out[0], {in[0].d[0], expressions.constant(rows), expressions.constant(row_size(values))});
  }
  static Fault arrange(const Values& values, const Dims* in, Arguments& a) {
    a.max_tokens = values.whole(region_features::kMaxTokens);
    a.bins = values.whole(region_features::kBins);
    a.sigma = values[region_features::kSigma];
    a.gradient = values.whole(region_features::kGradient) != 0;
    a.interpolation = static_cast<Interpolation>(values.whole(region_features::kInterpolation));
    if (const Fault fault = arrange_images(in[0], values[region_features::kPixels], a.images)) return fault;
    if (in[1].d[0] != in[0].d[0] || in[1].d[1] != in[0].d[2] || in[1].d[2] != in[0].d[3]) {
      return {"labels", static_cast<double>(in[1].d[0]), "of the batch, height and width of the images"};
    }
    if (in[2].d[0] != in[0].d[0]) return {"counts", static_cast<double>(in[2].d[0]), "one per image"};
    return {};
  }
  static void attach(Arguments& a, const PluginTensorDesc* out_tensors, const void* const* in, void* const* out) {
    a.images.data = in[0];
    a.labels = static_cast<const std::int32_t*>(in[1]);
    a.counts = static_cast<const std::int32_t*>(in[2]);
    const DataType type = out_tensors[0].type;
    a.token_type = type == DataType::kHALF   ? TokenType::kFloat16
                   : type == DataType::kBF16 ? TokenType::kBfloat16
                                             : TokenType::kFloat32;
    a.tokens = out[0];
  }
  static std::size_t workspace(const Arguments& a) { return cuda::region_features_workspace(a); }
  static cudaError_t run(const Arguments& a, cudaStream_t stream) { return cuda::region_features(a, stream); }
};

struct VoronoiTessellationOp {
  using Arguments = VoronoiArguments;
  static constexpr const OpContract& kContract = voronoi_tessellation::kContract;
  static constexpr int kInputs = 1, kOutputs = 2;

  static int rank(int) { return 1; }
  static const char* input_name(int) { return "seeds"; }
  static bool supports(int position, DataType type) { return type == (position ? DataType::kINT32 : DataType::kINT64); }
  static DataType output_type(const Values&, int) { return DataType::kINT32; }
  static void output_shapes(const Values& values, const DimsExprs* in, DimsExprs* out, IExprBuilder& expressions) {
    const auto* height = expressions.constant(values.whole(voronoi_tessellation::kHeight));
    const auto* width = expressions.constant(values.whole(voronoi_tessellation::kWidth));
    set_shape(out[0], {in[0].d[0], height, width});
    set_shape(out[1], {in[0].d[0]});
  }
  static Fault arrange(const Values& values, const Dims* in, Arguments& a) {
    a.height = values.whole(voronoi_tessellation::kHeight);
    a.width = values.whole(voronoi_tessellation::kWidth);
    if (const Fault fault = check_extent(in[0].d[0], a.height, a.width)) return fault;
    a.batch = static_cast<int>(in[0].d[0]);
    return {};
  }
  static void attach(Arguments& a, const PluginTensorDesc*, const void* const* in, void* const* out) {
    a.seeds = static_cast<const std::int64_t*>(in[0]);
    a.labels = static_cast<std::int32_t*>(out[0]);
    a.counts = static_cast<std::int32_t*>(out[1]);
  }
  static std::size_t workspace(const Arguments& a) { return cuda::voronoi_tessellation_workspace(a); }
  static cudaError_t run(const Arguments& a, cudaStream_t stream) { return cuda::voronoi_tessellation(a, stream); }
};

}  // namespace spit::tensorrt
