// Runs every op on threads and shuffled, over shapes, options and values, and compares the bits: the
// program that sanitizers watch.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "../../../plugins/kernels/common/pixels.hpp"
#include "../../../plugins/native/dispatch.hpp"

namespace {

using namespace spit;
using namespace spit::native;

struct Result {
  std::vector<std::int32_t> labels, counts, cells, cell_counts;
  std::vector<float> tokens, strange_tokens;

  bool operator==(const Result& other) const {
    return labels == other.labels && counts == other.counts && cells == other.cells &&
           cell_counts == other.cell_counts && same(tokens, other.tokens) && same(strange_tokens, other.strange_tokens);
  }

 private:
  static bool same(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }
};

struct Options {
  int levels;
  double compactness;
  double threshold;
  int max_tokens;
  int bins;
  double sigma;
  int gradient;
  int interpolation;
};

constexpr Options kOptions[] = {
    {4, 0.0, 0.0, 20, 8, 0.1, 1, SPIT_INTERPOLATION_BILINEAR},
    {2, 0.1, 0.1, 1, 2, 1e-3, 0, SPIT_INTERPOLATION_NEAREST},
    {0, 0.0, 0.05, 7, 17, 10.0, 1, SPIT_INTERPOLATION_NEAREST},
};

std::uint32_t next(std::uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

// Labels that no partition has, negative and far too large ones, and counts that do not fit: kernels
// leave such pixels out and touch no memory of others.
void make_strange(std::vector<std::int32_t>& labels, std::vector<std::int32_t>& counts) {
  constexpr std::int32_t kLabels[] = {-1, std::numeric_limits<std::int32_t>::min(), 1 << 30, 6, 0, 2};
  constexpr std::int32_t kCounts[] = {-5, 3, std::numeric_limits<std::int32_t>::max(), 0};
  std::uint32_t state = 5;
  for (auto& label : labels) label = kLabels[next(state) % 6];
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = kCounts[(labels.size() + i) % 4];
}

void require(const Fault& fault) {
  if (!fault) return;
  std::fprintf(stderr, "%s\n", text_of(fault).c_str());
  std::exit(2);
}

Result results(const SpitImages& images, const Options& o, const Execution& execution) {
  const std::size_t pixels = static_cast<std::size_t>(images.height) * images.width, batch = images.batch;
  Result r;
  r.labels.resize(batch * pixels);
  r.counts.resize(batch);
  r.cells.resize(batch * pixels);
  r.cell_counts.resize(batch);
  r.tokens.resize(batch * o.max_tokens * o.bins * o.bins * (o.gradient ? 5 : 4));
  r.strange_tokens.resize(r.tokens.size());
  require(run(SpitMerge{images, o.levels, o.compactness, o.threshold, r.labels.data(), r.counts.data(), nullptr},
              execution));
  SpitFeatures features{images,     r.labels.data(), r.counts.data(),         o.max_tokens,    o.bins, o.sigma,
                        o.gradient, o.interpolation, SPIT_TOKEN_TYPE_FLOAT32, r.tokens.data(), nullptr};
  require(run(features, execution));
  std::vector<std::int32_t> labels(batch * pixels), counts(batch);
  make_strange(labels, counts);
  features.labels = labels.data();
  features.counts = counts.data();
  features.tokens = r.strange_tokens.data();
  require(run(features, execution));
  std::vector<std::int64_t> seeds(batch, -3);
  require(run(SpitVoronoi{seeds.data(), images.batch, images.height, images.width, r.cells.data(), r.cell_counts.data(),
                          nullptr},
              execution));
  return r;
}

// An image of bytes or of floats; those with NaN, infinities and subnormal numbers among them.
struct Image {
  std::vector<std::uint8_t> bytes;
  std::vector<float> floats;
  SpitImages images;

  Image(PixelKind kind, int batch, int height, int width, bool flat) {
    const std::size_t values = static_cast<std::size_t>(batch) * 3 * height * width;
    const float strange[] = {std::nanf(""), INFINITY, -INFINITY, -0.0f, 1e-41f, 3e38f};
    std::uint32_t state = 1;
    for (std::size_t i = 0; i < values; ++i) {
      const std::uint32_t random = next(state);
      const int value = flat ? 90 : static_cast<int>(random >> 16 & 255);
      if (kind == PixelKind::kUint8) {
        bytes.push_back(static_cast<std::uint8_t>(value));
      } else {
        floats.push_back(!flat && random % 11 == 0 ? strange[random / 11 % 6] : static_cast<float>(value) / 200.0f);
      }
    }
    const bool is_bytes = kind == PixelKind::kUint8;
    images = {is_bytes ? static_cast<const void*>(bytes.data()) : floats.data(),
              is_bytes ? SPIT_UINT8 : SPIT_FLOAT32,
              static_cast<int>(kind),
              batch,
              height,
              width};
  }
};

bool report(bool good, const SpitImages& images, const char* executor, int number) {
  if (!good) {
    std::printf("%d x %d x %d, pixels %d, %s %d: other bits than on one thread\n", images.batch, images.height,
                images.width, images.pixels, executor, number);
  }
  return good;
}

// Each kind of image with some of the options, with others on the next call.
bool agree(int batch, int height, int width, int seeds) {
  static int turn = 0;
  ++turn;
  bool good = true;
  for (const PixelKind kind : {PixelKind::kUint8, PixelKind::kUnit, PixelKind::kImagenet}) {
    for (const bool flat : {false, true}) {
      const Image image(kind, batch, height, width, flat);
      const Options& options = kOptions[(turn + static_cast<int>(kind) + flat) % 3];
      const Result expected = results(image.images, options, {ExecutorKind::kThreads, 1, 0});
      for (const int threads : {2, 7}) {
        good &= report(results(image.images, options, {ExecutorKind::kThreads, threads, 0}) == expected, image.images,
                       "threads", threads);
      }
      for (int seed = 0; seed < seeds; ++seed) {
        const Execution shuffled{ExecutorKind::kShuffled, 1, static_cast<std::uint64_t>(seed)};
        good &= report(results(image.images, options, shuffled) == expected, image.images, "seed", seed);
      }
    }
  }
  return good;
}

// Several callers at the same time share the pool, not their workspaces.
bool callers_do_not_meet() {
  const Image image(PixelKind::kUint8, 1, 60, 70, false);
  const Result expected = results(image.images, kOptions[0], {ExecutorKind::kThreads, 1, 0});
  std::vector<Result> found(4);
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&, i] { found[i] = results(image.images, kOptions[0], {ExecutorKind::kThreads, 2 + i, 0}); });
  }
  bool good = true;
  for (int i = 0; i < 4; ++i) {
    callers[i].join();
    good &= report(found[i] == expected, image.images, "caller", i);
  }
  return good;
}

// Tokens may be anything while another thread writes labels and counts; memory must be left alone.
void inputs_change_meanwhile(int seeds) {
  const Image image(PixelKind::kUint8, 1, 60, 70, false);
  constexpr int kRows = 40, kBins = 8;
  std::vector<std::int32_t> labels(60 * 70), counts(1);
  std::vector<float> tokens(kRows * kBins * kBins * 5);
  std::atomic<bool> running{true};
  std::thread writer([&] {
    constexpr std::int32_t kValues[] = {0, 39, 5, std::numeric_limits<std::int32_t>::max(), -1, 1 << 20};
    for (std::uint32_t state = 7; running.load();) {
      for (auto& label : labels) __atomic_store_n(&label, kValues[next(state) % 6], __ATOMIC_RELAXED);
      __atomic_store_n(&counts[0], kValues[next(state) % 6], __ATOMIC_RELAXED);
    }
  });
  const SpitFeatures features{image.images,
                              labels.data(),
                              counts.data(),
                              kRows,
                              kBins,
                              0.1,
                              1,
                              SPIT_INTERPOLATION_BILINEAR,
                              SPIT_TOKEN_TYPE_FLOAT32,
                              tokens.data(),
                              nullptr};
  for (int i = 0; i < 200; ++i) require(run(features, {ExecutorKind::kThreads, 1 + i % 4, 0}));
  for (int seed = 0; seed < seeds; ++seed) {
    require(run(features, {ExecutorKind::kShuffled, 1, static_cast<std::uint64_t>(seed)}));
  }
  running.store(false);
  writer.join();
}

// An interruption ends an op at each of its chances, and may call an op itself; the next call is as ever.
struct Interrupted {};
int chances;
const Image* nested;
std::int32_t nested_count;

void interrupt() {
  std::vector<std::int32_t> labels(nested->images.height * nested->images.width);
  require(run(SpitMerge{nested->images, 4, 0.0, 0.0, labels.data(), &nested_count, nullptr},
              {ExecutorKind::kShuffled, 1, 1}));
  if (--chances < 0) throw Interrupted{};
}

bool interruptions_end_the_work(bool shuffled) {
  const Image image(PixelKind::kUint8, 2, 20, 30, false), small(PixelKind::kUint8, 1, 5, 6, false);
  const Result expected = results(image.images, kOptions[0], {ExecutorKind::kThreads, 1, 0});
  nested = &small;
  Execution execution{shuffled ? ExecutorKind::kShuffled : ExecutorKind::kThreads, 2, 3, interrupt};
  bool good = true;
  for (int before : {0, 1, 2, 7, 30, 1000000}) {
    chances = before;
    bool ended = false;
    try {
      good &= report(results(image.images, kOptions[0], execution) == expected, image.images, "interrupted", before);
    } catch (const Interrupted&) {
      ended = true;
    }
    good &= report(ended == (before < 1000000), image.images, "interruption", before);
    const Execution plain{execution.executor, 2, 3};
    good &= report(results(image.images, kOptions[0], plain) == expected, image.images, "after interruption", before);
  }
  return good;
}

}  // namespace

int main(int count, char** arguments) {
  // ThreadSanitizer does not follow fibres: "threads" leaves the shuffled executor out.
  const int seeds = count > 1 && std::strcmp(arguments[1], "threads") == 0 ? 0 : 3;
  const int shapes[][3] = {{1, 1, 1}, {2, 1, 7}, {1, 5, 1}, {1, 3, 3}, {1, 2, 31}, {3, 12, 9}};
  bool good = true;
  for (const auto& s : shapes) good &= agree(s[0], s[1], s[2], seeds);
  good &= agree(2, 33, 70, 0);
  good &= agree(1, 130, 270, 0);  // several tiles each way, and work for seven threads
  good &= agree(1, 70, 300, 0);
  good &= callers_do_not_meet();
  inputs_change_meanwhile(seeds);
  if (seeds > 0) {
    for (const bool shuffled : {false, true}) good &= interruptions_end_the_work(shuffled);
  }
  std::printf("%s: %s\n", variant(), good ? "all executors agree" : "executors DISAGREE");
  return good ? 0 : 1;
}
