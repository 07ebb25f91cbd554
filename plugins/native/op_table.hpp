// The ops on one kind of executor.
#pragma once

#include "../kernels/pixel_dispatch.hpp"
#include "../kernels/region_features.hpp"
#include "../kernels/superpixel_merge.hpp"
#include "../kernels/voronoi.hpp"
#include "execution.hpp"

SPIT_NAMESPACE_BEGIN

// Images of a batch go one after the other through one image's workspace, which stays in cache.
inline Images one_image(Images images, int image) {
  const std::int64_t values = std::int64_t{3} * images.height * images.width * image;
  images.data = static_cast<const char*>(images.data) + values * (images.bytes ? 1 : 4);
  images.batch = 1;
  return images;
}

inline MergeArguments one_image(MergeArguments a, int image) {
  const std::int64_t pixels = static_cast<std::int64_t>(a.images.height) * a.images.width;
  a.images = one_image(a.images, image);
  a.labels += image * pixels;
  a.counts += image;
  return a;
}

inline FeatureArguments one_image(FeatureArguments a, int image) {
  const std::int64_t pixels = static_cast<std::int64_t>(a.images.height) * a.images.width;
  const std::int64_t row = std::int64_t{a.bins} * a.bins * (a.gradient ? 5 : 4);
  a.images = one_image(a.images, image);
  a.labels += image * pixels;
  a.counts += image;
  const std::int64_t bytes = a.token_type == TokenType::kFloat32 ? 4 : 2;
  a.tokens = static_cast<char*>(a.tokens) + image * a.max_tokens * row * bytes;
  return a;
}

inline VoronoiArguments one_image(VoronoiArguments a, int image) {
  a.labels += image * static_cast<std::int64_t>(a.height) * a.width;
  a.counts += image;
  a.seeds += image;
  a.batch = 1;
  return a;
}

inline int batch_of(const MergeArguments& a) { return a.images.batch; }
inline int batch_of(const FeatureArguments& a) { return a.images.batch; }
inline int batch_of(const VoronoiArguments& a) { return a.batch; }

inline std::size_t bytes_of(const MergeArguments& a) { return lay_out_merge(a).bytes; }
inline std::size_t bytes_of(const FeatureArguments& a) {
  std::size_t bytes = 0;
  lay_out_features(a, bytes);
  return bytes;
}
inline std::size_t bytes_of(const VoronoiArguments& a) {
  std::size_t bytes = 0;
  lay_out_voronoi(a, bytes);
  return bytes;
}

inline const ContrastTable* contrast_table() {
  static ContrastTable table;
  static const bool filled = (fill(table), true);
  return filled ? &table : nullptr;
}

template <class Executor>
void run_one(Executor& executor, const MergeArguments& a) {
  with_pixels(a.images, contrast_table(), [&](const auto& pixels) { superpixel_merge(executor, a, pixels); });
}
template <class Executor>
void run_one(Executor& executor, const FeatureArguments& a) {
  with_pixels(a.images, contrast_table(), [&](const auto& pixels) { region_features(executor, a, pixels); });
}
template <class Executor>
void run_one(Executor& executor, const VoronoiArguments& a) {
  voronoi_tessellation(executor, a);
}

// The executor's scratch comes first; what follows it must be aligned as the op expects.
template <class Executor>
std::size_t scratch_bytes(const native::Execution& execution) {
  constexpr std::size_t whole = Workspace::kAlignment;
  return (Executor::scratch_bytes(execution) + whole - 1) / whole * whole;
}

// An Executor is made from an Execution and scratch of scratch_bytes(Execution).
template <class Executor, class Arguments>
std::size_t bytes(const Arguments& arguments, const native::Execution& execution) {
  Arguments one = one_image(arguments, 0);
  one.workspace = nullptr;
  return scratch_bytes<Executor>(execution) + bytes_of(one);
}

template <class Executor, class Arguments>
void run(const Arguments& arguments, const native::Execution& execution) {
  Executor executor(execution, arguments.workspace);
  for (int image = 0; image < batch_of(arguments); ++image) {
    Arguments one = one_image(arguments, image);
    one.workspace = static_cast<char*>(arguments.workspace) + scratch_bytes<Executor>(execution);
    run_one(executor, one);
  }
}

template <class Executor, class Arguments>
constexpr native::Op<Arguments> op{bytes<Executor, Arguments>, run<Executor, Arguments>};

template <class Executor>
constexpr native::OpTable op_table(const char* name) {
  return {name, op<Executor, MergeArguments>, op<Executor, FeatureArguments>, op<Executor, VoronoiArguments>};
}

SPIT_NAMESPACE_END
