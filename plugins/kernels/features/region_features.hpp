// The op region_features as a sequence of phases.
#pragma once

#include "joint_histograms.hpp"
#include "pixel_histograms.hpp"
#include "token_rows.hpp"

SPIT_NAMESPACE_BEGIN

template <class Value, class Executor, class Pixels>
void region_features_as(Executor& executor, const SpitFeatures& a, const Pixels& pixels) {
  std::size_t bytes = 0;
  const FeatureState state = lay_out_features(a, bytes);
  const int batch = a.images.batch;
  executor.ranges(PrepareFeatures<Pixels>{state, pixels}, batch, state.pixels);
  if constexpr (Executor::kLargeBlocks) {
    executor.blocks(FindBoxes{state}, batch, state.height, state.width);
    executor.blocks(SumHistograms<Pixels>{state, pixels}, batch, state.height, state.width);
  } else {
    executor.blocks(SumPixelHistograms<Pixels>{state, pixels}, batch, state.height, state.width);
  }
  executor.ranges(WriteTokens<Value>{state}, batch, state.max_tokens * state.cells());
}

inline std::size_t workspace_bytes(const SpitFeatures& a) {
  std::size_t bytes = 0;
  lay_out_features(a, bytes);
  return bytes;
}

template <class Executor, class Pixels>
void run_op(Executor& executor, const SpitFeatures& a, const Pixels& pixels) {
  switch (a.token_type) {
    case SPIT_TOKEN_TYPE_FLOAT32: return region_features_as<Float32>(executor, a, pixels);
    case SPIT_TOKEN_TYPE_FLOAT16: return region_features_as<Float16>(executor, a, pixels);
    case SPIT_TOKEN_TYPE_BFLOAT16: return region_features_as<Bfloat16>(executor, a, pixels);
  }
}

SPIT_NAMESPACE_END
