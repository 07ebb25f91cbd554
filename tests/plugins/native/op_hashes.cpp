// Runs the ops on the cases of a file and prints the hashes of what they give, a line for each case;
// op_hashes.py writes the file and knows what the hashes must be.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../../../plugins/native/dispatch.hpp"

namespace {

using namespace spit;
using namespace spit::native;

// As in the file, little-endian; after it come the pixels, bytes or floats.
struct Case {
  std::int32_t kind, batch, height, width, levels, max_tokens, bins, gradient, nearest, bytes;
  double compactness, threshold, sigma;
  std::int64_t seed;
};

// Sum of the words, each mixed with its place by the finalizer of SplitMix64.
template <class T>
std::uint64_t word_hash(const std::vector<T>& values) {
  static_assert(sizeof(T) == 4, "words");
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < values.size(); ++i) {
    std::uint32_t word;
    std::memcpy(&word, &values[i], sizeof word);
    std::uint64_t z = (word | i << 32) + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    sum += z ^ (z >> 31);
  }
  return sum;
}

bool fine(const Fault& fault) {
  if (fault) std::fprintf(stderr, "%s\n", text_of(fault).c_str());
  return !fault;
}

bool run(const Case& c, const void* pixels, const Execution& execution) {
  const std::size_t size = static_cast<std::size_t>(c.height) * c.width, batch = c.batch;
  const SpitImages images{pixels, c.bytes ? SPIT_UINT8 : SPIT_FLOAT32, c.kind, c.batch, c.height, c.width};
  std::vector<std::int32_t> labels(batch * size), counts(batch), cells(batch * size), cell_counts(batch);
  std::vector<float> tokens(batch * c.max_tokens * c.bins * c.bins * (c.gradient ? 5 : 4));
  std::vector<std::int64_t> seeds(batch);
  for (std::size_t i = 0; i < batch; ++i) seeds[i] = c.seed + static_cast<std::int64_t>(i);
  const bool good =
      fine(run(SpitMerge{images, c.levels, c.compactness, c.threshold, labels.data(), counts.data(), nullptr},
               execution)) &&
      fine(run(SpitFeatures{images, labels.data(), counts.data(), c.max_tokens, c.bins, c.sigma, c.gradient,
                            c.nearest ? SPIT_INTERPOLATION_NEAREST : SPIT_INTERPOLATION_BILINEAR,
                            SPIT_TOKEN_TYPE_FLOAT32, tokens.data(), nullptr},
               execution)) &&
      fine(run(SpitVoronoi{seeds.data(), c.batch, c.height, c.width, cells.data(), cell_counts.data(), nullptr},
               execution));
  for (const std::uint64_t hash :
       {word_hash(labels), word_hash(counts), word_hash(tokens), word_hash(cells), word_hash(cell_counts)}) {
    std::printf("%016llx ", static_cast<unsigned long long>(hash));
  }
  std::puts("");
  return good;
}

template <class T>
bool run(const Case& c, std::FILE* file, const Execution& execution) {
  std::vector<T> pixels(static_cast<std::size_t>(c.batch) * 3 * c.height * c.width);
  if (std::fread(pixels.data(), sizeof(T), pixels.size(), file) != pixels.size()) {
    std::fputs("the file ends within an image\n", stderr);
    return false;
  }
  return run(c, pixels.data(), execution);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fputs("use: op_hashes FILE THREADS\n", stderr);
    return 2;
  }
  std::FILE* file = std::fopen(arguments[1], "rb");
  if (!file) {
    std::perror(arguments[1]);
    return 2;
  }
  const Execution execution{ExecutorKind::kThreads, std::atoi(arguments[2]), 0};
  std::fprintf(stderr, "%s\n", variant());
  bool good = true;
  Case c;
  while (good && std::fread(&c, sizeof c, 1, file) == 1) {
    good = c.bytes ? run<std::uint8_t>(c, file, execution) : run<float>(c, file, execution);
  }
  std::fclose(file);
  return good ? 0 : 1;
}
