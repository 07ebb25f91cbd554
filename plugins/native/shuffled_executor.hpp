// Runs phases the way a GPU's scheduler might: every pixel or vertex is an item of its own, items come
// in random order, and several are under way at once, taking turns at every access to shared memory.
// If results depended on any order, some seed would show it.
#pragma once

#include "../kernels/common/memory.hpp"
#include "../kernels/merge/vertex_features.hpp"
#include "execution.hpp"
#include "fibres.hpp"

SPIT_NAMESPACE_BEGIN

struct Interleaved {
  static constexpr bool kAddsAreFree = false;

  template <class T>
  static T load(const T* at) {
    native::yield_fibre();
    return Plain::load(at);
  }
  template <class T>
  static void store(T* at, T value) {
    native::yield_fibre();
    Plain::store(at, value);
  }
  template <class T>
  static void add(T* at, T value) {
    native::yield_fibre();
    Plain::add(at, value);
  }
  template <class T>
  static void max(T* at, T value) {
    native::yield_fibre();
    Plain::max(at, value);
  }
  template <class T>
  static void min(T* at, T value) {
    native::yield_fibre();
    Plain::min(at, value);
  }
  static void set_bits(std::uint32_t* at, std::uint32_t value) {
    native::yield_fibre();
    Plain::set_bits(at, value);
  }
  static std::int32_t compare_swap(std::int32_t* at, std::int32_t expected, std::int32_t desired) {
    native::yield_fibre();
    return Plain::compare_swap(at, expected, desired);
  }
};

// A tile's pixels, one at a time, in random order.
struct ShuffledTeam {
  native::SplitMix& random;

  template <class Row>
  void rows(Block block, Row row) const {
    const int columns = block.column_end - block.column_begin;
    const int cells = columns * (block.row_end - block.row_begin);
    // Steps of a number without a divisor in common with cells reach every cell once.
    int step = 1 + random.below(cells);
    while (!coprime(step, cells)) step = 1 + random.below(cells);
    std::int64_t cell = random.below(cells);
    for (int i = 0; i < cells; ++i, cell = (cell + step) % cells) {
      const int column = block.column_begin + static_cast<int>(cell % columns);
      row(block.row_begin + static_cast<int>(cell / columns), column, column + 1);
    }
  }

 private:
  static bool coprime(int a, int b) {
    while (b != 0) {
      const int rest = a % b;
      a = b;
      b = rest;
    }
    return a == 1;
  }
};

class ShuffledExecutor {
 public:
  static constexpr bool kLargeBlocks = false;

  ShuffledExecutor(const native::Execution& execution, void* scratch)
      : execution_(execution), random_(execution.seed), scratch_(static_cast<float*>(scratch)) {}

  static std::size_t scratch_bytes(const native::Execution&) {
    return TileScratch::floats(kTile, kTile) * sizeof(float);
  }

  template <class Phase>
  void ranges(const Phase& phase, int images, int) {
    for (int image = 0; image < images; ++image) {
      each(phase.limit(image), [&, image](int i) { phase.template run<Interleaved>(image, Range{i, i + 1}); });
    }
  }

  template <class Phase>
  void blocks(const Phase& phase, int images, int height, int width) {
    for (int image = 0; image < images; ++image) {
      each(height * width, [&, image](int p) {
        const int r = p / width, c = p % width;
        phase.template run<Interleaved>(image, Block{r, r + 1, c, c + 1});
      });
    }
  }

  template <class Phase>
  void tiles(const Phase& phase, int images, int height, int width) {
    const int down = (height + kTile - 1) / kTile, across = (width + kTile - 1) / kTile;
    for (int image = 0; image < images; ++image) {
      each(down * across, [&, image](int tile) {
        const int r = tile / across * kTile, c = tile % across * kTile;
        const Block block{r, smaller(r + kTile, height), c, smaller(c + kTile, width)};
        ShuffledTeam team{random_};
        const int side = kTile + 2 * TileScratch::kHalo;
        phase.run(team, image, block,
                  TileScratch{scratch_, side, side * side, r - TileScratch::kHalo, c - TileScratch::kHalo});
      });
    }
  }

 private:
  static constexpr int kTile = 8;

  template <class Body>
  void each(int count, const Body& body) {
    native::run_fibres(
        execution_, random_, count, [](void* context, int i) { (*static_cast<const Body*>(context))(i); },
        const_cast<Body*>(&body));
  }

  const native::Execution& execution_;
  native::SplitMix random_;
  float* scratch_;
};

SPIT_NAMESPACE_END
