// Final threshold (docs/algorithm.md, section 3): neighbours whose features differ by a small range are joined.
// Components by union-find without locks: a root is hooked below a smaller one by compare-and-swap,
// so every component ends at its smallest vertex, in whatever order its edges come.
#pragma once

#include "numbering.hpp"

SPIT_NAMESPACE_BEGIN

struct IsolateVertices {
  Level level;

  SPIT_HD int limit(int image) const { return level.limit(image); }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const MergeState& state = level.state;
    std::int32_t* parent = state.of_pixels(state.parent, image);
    std::int32_t* first = state.of_pixels(state.first, image);
    std::uint32_t* bits = state.bits + static_cast<std::int64_t>(image) * state.words;
    for (int v = range.begin; v < range.end; ++v) parent[v] = first[v] = v;
    for (int word = (range.begin + 31) / 32; word * 32 < range.end; ++word) bits[word] = 0;
  }
};

template <bool kPixels>
struct JoinSimilar {
  MergeState state;
  float limit;

  template <class Memory>
  SPIT_HD void run(int image, Block block) const {
    const int width = state.width;
    for (int r = block.row_begin; r < block.row_end; ++r) {
      for (int c = block.column_begin; c < block.column_end; ++c) {
        const int p = r * width + c;
        if (c + 1 < width) join<Memory>(image, p, p + 1);
        if (r + 1 < state.height) join<Memory>(image, p, p + width);
      }
    }
  }

 private:
  template <class Memory>
  SPIT_HD void join(int image, int p, int q) const {
    const std::int32_t* labels = state.of_pixels(state.labels, image);
    const std::int32_t u = kPixels ? p : labels[p], v = kPixels ? q : labels[q];
    if (u == v) return;
    float low = difference(image, u, v, 0), high = low;
    for (int k = 1; k < 4; ++k) {
      const float d = difference(image, u, v, k);
      low = smaller(low, d);
      high = larger(high, d);
    }
    if (high - low < limit) hook<Memory>(state.of_pixels(state.parent, image), u, v);
  }

  // Of the edge's smaller vertex minus its larger one, or the other way round: the range is the same.
  SPIT_HD float difference(int image, std::int32_t u, std::int32_t v, int k) const {
    if (kPixels) return state.plane(image, k)[u] - state.plane(image, k)[v];
    const Vertex* vertices = state.of_vertices(state.vertices, image);
    return vertices[u].features[k] - vertices[v].features[k];
  }

  template <class Memory>
  static SPIT_HD void hook(std::int32_t* parent, std::int32_t u, std::int32_t v) {
    while (true) {
      u = FindRoots::find<Memory>(parent, u);
      v = FindRoots::find<Memory>(parent, v);
      if (u == v) return;
      const std::int32_t low = smaller(u, v), high = larger(u, v);
      if (Memory::compare_swap(parent + high, high, low) == high) return;
    }
  }
};

SPIT_NAMESPACE_END
