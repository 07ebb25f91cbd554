#include "tokenizer_api.h"

#include "../kernels/launch.hpp"
#include "../kernels/validation.hpp"

namespace spit {
namespace {

bool known(std::int32_t value, std::int32_t most) { return value >= 0 && value <= most; }

bool converted(const SpitImages& from, Images& to) {
  if (!known(from.type, 1) || !known(from.pixels, 2)) return false;
  to = {from.data, from.type == 0, static_cast<PixelKind>(from.pixels), from.batch, from.height, from.width};
  return true;
}

bool converted(const SpitMerge& from, MergeArguments& to) {
  to = {{}, from.levels, from.compactness, from.final_threshold, from.labels, from.counts, from.workspace};
  return converted(from.images, to.images) && !check(to);
}

bool converted(const SpitFeatures& from, FeatureArguments& to) {
  if (!known(from.gradient, 1) || !known(from.interpolation, 1) || !known(from.token_type, 2)) return false;
  to = {{},
        from.labels,
        from.counts,
        from.max_tokens,
        from.bins,
        from.sigma,
        from.gradient == 1,
        static_cast<Interpolation>(from.interpolation),
        static_cast<TokenType>(from.token_type),
        from.tokens,
        from.workspace};
  return converted(from.images, to.images) && !check(to);
}

bool converted(const SpitVoronoi& from, VoronoiArguments& to) {
  to = {from.seeds, from.batch, from.height, from.width, from.labels, from.counts, from.workspace};
  return !check(to);
}

// Sizes do not depend on where data lies: pointers may be null while there is no memory yet.
template <class T>
void place(T*& pointer) {
  static double somewhere;
  if (!pointer) pointer = static_cast<T*>(static_cast<void*>(&somewhere));
}
void place_all(SpitMerge& a) {
  place(a.images.data);
  place(a.labels);
  place(a.counts);
}
void place_all(SpitFeatures& a) {
  place(a.images.data);
  place(a.labels);
  place(a.counts);
  place(a.tokens);
}
void place_all(SpitVoronoi& a) {
  place(a.seeds);
  place(a.labels);
  place(a.counts);
}

template <class Arguments, class Given>
std::size_t bytes(const Given* given, std::size_t (*workspace)(const Arguments&)) {
  if (!given) return 0;
  Given placed = *given;
  place_all(placed);
  Arguments arguments{};
  return converted(placed, arguments) ? workspace(arguments) : 0;
}

template <class Arguments, class Given>
std::int32_t run(const Given* given, void* stream, cudaError_t (*op)(const Arguments&, cudaStream_t, int*)) {
  Arguments arguments{};
  if (!given || !converted(*given, arguments) || !arguments.workspace) return cudaErrorInvalidValue;
  return op(arguments, static_cast<cudaStream_t>(stream), nullptr);
}

}  // namespace
}  // namespace spit

#define SPIT_EXPORT __attribute__((visibility("default")))

SPIT_EXPORT size_t spit_superpixel_merge_workspace(const SpitMerge* arguments) {
  return spit::bytes(arguments, spit::cuda::superpixel_merge_workspace);
}
SPIT_EXPORT size_t spit_region_features_workspace(const SpitFeatures* arguments) {
  return spit::bytes(arguments, spit::cuda::region_features_workspace);
}
SPIT_EXPORT size_t spit_voronoi_tessellation_workspace(const SpitVoronoi* arguments) {
  return spit::bytes(arguments, spit::cuda::voronoi_tessellation_workspace);
}
SPIT_EXPORT int32_t spit_superpixel_merge(const SpitMerge* arguments, void* stream) {
  return spit::run(arguments, stream, spit::cuda::superpixel_merge);
}
SPIT_EXPORT int32_t spit_region_features(const SpitFeatures* arguments, void* stream) {
  return spit::run(arguments, stream, spit::cuda::region_features);
}
SPIT_EXPORT int32_t spit_voronoi_tessellation(const SpitVoronoi* arguments, void* stream) {
  return spit::run(arguments, stream, spit::cuda::voronoi_tessellation);
}
SPIT_EXPORT const char* spit_status_text(int32_t status) {
  return spit::cuda::status_text(static_cast<cudaError_t>(status));
}
