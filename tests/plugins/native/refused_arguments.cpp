// What the validation layer refuses, and by which name: also what no array can express, such as null.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "../../../plugins/native/dispatch.hpp"

namespace {

using namespace spit;
using namespace spit::native;

constexpr Execution kOneThread{ExecutorKind::kThreads, 1, 0};

const std::uint8_t kImage[60] = {};
std::int32_t labels[20], counts[1] = {1};
float tokens[16];
const std::int64_t kSeeds[1] = {1};

const SpitImages kImages{kImage, SPIT_UINT8, SPIT_PIXELS_UINT8, 1, 4, 5};
const SpitMerge kMerge{kImages, 4, 0.0, 0.0, labels, counts, nullptr};
const SpitFeatures kFeatures{
    kImages, labels, counts, 1, 2, 0.1, 0, SPIT_INTERPOLATION_BILINEAR, SPIT_TOKEN_TYPE_FLOAT32, tokens, nullptr};
const SpitVoronoi kVoronoi{kSeeds, 1, 4, 5, labels, counts, nullptr};

bool good = true;

void expect(const Fault& fault, const char* argument, const char* change) {
  const bool right = argument ? fault && std::strcmp(fault.argument, argument) == 0 : !fault;
  if (right) return;
  std::printf("%s: refused %s, expected %s\n", change, fault ? fault.argument : "nothing",
              argument ? argument : "nothing");
  good = false;
}

template <class Change>
void merge(const char* argument, const char* text, Change change) {
  SpitMerge a = kMerge;
  change(a);
  expect(run(a, kOneThread), argument, text);
}

template <class Change>
void features(const char* argument, const char* text, Change change) {
  SpitFeatures a = kFeatures;
  change(a);
  expect(run(a, kOneThread), argument, text);
}

template <class Change>
void voronoi(const char* argument, const char* text, Change change) {
  SpitVoronoi a = kVoronoi;
  change(a);
  expect(run(a, kOneThread), argument, text);
}

}  // namespace

#define REFUSES(op, argument, change) op(argument, #op ": " #change, [](auto& a) { change; })

int main() {
  REFUSES(merge, nullptr, (void)a);
  REFUSES(merge, "images", a.images.data = nullptr);
  REFUSES(merge, "pixels", a.images.pixels = SPIT_PIXELS_UNIT);
  REFUSES(merge, "batch", a.images.batch = 0);
  REFUSES(merge, "batch", a.images.batch = -1);
  REFUSES(merge, "height", a.images.height = 0);
  REFUSES(merge, "height", a.images.height = (1 << 26) + 1);
  REFUSES(merge, "width", a.images.width = -7);
  REFUSES(merge, "height * width", a.images.height = a.images.width = 1 << 14);
  REFUSES(merge, "batch * height * width", a.images.height = a.images.width = 1 << 13; a.images.batch = 32);
  REFUSES(merge, "batch * height * width", a.images.batch = 2147483647);
  REFUSES(merge, "type", a.images.type = 2);
  REFUSES(merge, "pixels", a.images.pixels = 3);
  REFUSES(merge, "labels", a.labels = nullptr);
  REFUSES(merge, "counts", a.counts = nullptr);
  REFUSES(merge, "levels", a.levels = -1);
  REFUSES(merge, "levels", a.levels = 17);
  REFUSES(merge, "compactness", a.compactness = -1e-9);
  REFUSES(merge, "compactness", a.compactness = 1.5);
  REFUSES(merge, "compactness", a.compactness = NAN);
  REFUSES(merge, "final_threshold", a.final_threshold = -1e-9);
  REFUSES(merge, "final_threshold", a.final_threshold = 9.0);
  REFUSES(merge, "final_threshold", a.final_threshold = INFINITY);
  REFUSES(merge, "final_threshold", a.final_threshold = NAN);

  REFUSES(features, nullptr, (void)a);
  REFUSES(features, "images", a.images.data = nullptr);
  REFUSES(features, "height", a.images.height = -1);
  REFUSES(features, "labels", a.labels = nullptr);
  REFUSES(features, "counts", a.counts = nullptr);
  REFUSES(features, "tokens", a.tokens = nullptr);
  REFUSES(features, "max_tokens", a.max_tokens = 0);
  REFUSES(features, "max_tokens", a.max_tokens = 2147483647);
  REFUSES(features, "max_tokens * bins * bins", a.max_tokens = 1 << 20; a.bins = 64);
  REFUSES(features, "bins", a.bins = 1);
  REFUSES(features, "bins", a.bins = 65);
  REFUSES(features, "sigma", a.sigma = 0.0);
  REFUSES(features, "sigma", a.sigma = -0.1);
  REFUSES(features, "sigma", a.sigma = 1e31);
  REFUSES(features, "sigma", a.sigma = NAN);
  REFUSES(features, "gradient", a.gradient = 2);
  REFUSES(features, "interpolation", a.interpolation = -1);
  REFUSES(features, "token_type", a.token_type = 3);

  REFUSES(voronoi, nullptr, (void)a);
  REFUSES(voronoi, "seeds", a.seeds = nullptr);
  REFUSES(voronoi, "labels", a.labels = nullptr);
  REFUSES(voronoi, "counts", a.counts = nullptr);
  REFUSES(voronoi, "batch", a.batch = 0);
  REFUSES(voronoi, "width", a.width = 0);
  REFUSES(voronoi, "height * width", a.height = a.width = 1 << 20);

  std::puts(good ? "refuses what it must" : "refuses the WRONG arguments");
  return good ? 0 : 1;
}
