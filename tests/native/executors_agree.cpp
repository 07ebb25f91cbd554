// Runs every op on threads and shuffled and compares the bits: the program that sanitizers watch.
#include <cstdio>
#include <cstring>
#include <vector>

#include "../../plugins/native/dispatch.hpp"

namespace {

using namespace spit;
using namespace spit::native;

struct Result {
  std::vector<std::int32_t> labels, counts;
  std::vector<float> tokens;

  bool operator==(const Result& other) const {
    return labels == other.labels && counts == other.counts && tokens.size() == other.tokens.size() &&
           std::memcmp(tokens.data(), other.tokens.data(), tokens.size() * sizeof(float)) == 0;
  }
};

Result run(const Images& images, double compactness, double threshold, const Execution& execution) {
  const std::size_t pixels = static_cast<std::size_t>(images.height) * images.width, batch = images.batch;
  Result r{std::vector<std::int32_t>(batch * pixels), std::vector<std::int32_t>(batch), {}};
  constexpr int kTokens = 20, kBins = 8;
  r.tokens.resize(batch * kTokens * kBins * kBins * 5);
  superpixel_merge({images, 4, compactness, threshold, r.labels.data(), r.counts.data(), nullptr}, execution);
  region_features({images, r.labels.data(), r.counts.data(), kTokens, kBins, 0.1, true, Interpolation::kBilinear,
                   TokenType::kFloat32, r.tokens.data(), nullptr},
                  execution);
  std::vector<std::int64_t> seeds(batch, 3);
  Result voronoi{std::vector<std::int32_t>(batch * pixels), std::vector<std::int32_t>(batch), {}};
  voronoi_tessellation({seeds.data(), images.batch, images.height, images.width, voronoi.labels.data(),
                        voronoi.counts.data(), nullptr},
                       execution);
  r.labels.insert(r.labels.end(), voronoi.labels.begin(), voronoi.labels.end());
  return r;
}

bool agree(int batch, int height, int width, bool flat, bool shuffle) {
  std::vector<std::uint8_t> values(static_cast<std::size_t>(batch) * 3 * height * width);
  std::uint32_t state = 1;
  for (auto& value : values) {
    state = state * 1664525u + 1013904223u;
    value = flat ? 90 : static_cast<std::uint8_t>(state >> 24);
  }
  const Images images{values.data(), true, PixelKind::kUint8, batch, height, width};
  for (const double compactness : {0.0, 0.1}) {
    const Result expected = run(images, compactness, compactness, {ExecutorKind::kThreads, 1, 0});
    for (const int threads : {2, 7}) {
      if (!(run(images, compactness, compactness, {ExecutorKind::kThreads, threads, 0}) == expected)) return false;
    }
    for (std::uint64_t seed = 0; shuffle && seed < 5; ++seed) {
      if (!(run(images, compactness, compactness, {ExecutorKind::kShuffled, 1, seed}) == expected)) return false;
    }
  }
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  // ThreadSanitizer does not follow fibres: "threads" leaves them out.
  const bool shuffle = !(count > 1 && std::strcmp(arguments[1], "threads") == 0);
  const int shapes[][3] = {{1, 1, 1}, {2, 1, 7}, {1, 5, 1}, {1, 3, 3}, {3, 12, 9}};
  bool good = true;
  for (const auto& s : shapes) good = good && agree(s[0], s[1], s[2], false, shuffle) && agree(s[0], s[1], s[2], true, shuffle);
  good = good && agree(2, 130, 270, false, false) && agree(1, 130, 270, true, false);
  std::puts(good ? "all executors agree" : "executors DISAGREE");
  return good ? 0 : 1;
}
