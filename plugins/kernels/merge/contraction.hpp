// The components of one level become the vertices of the next (docs/algorithm.md, section 3, "Merge").
#pragma once

#include "../common/memory.hpp"
#include "numbering.hpp"

SPIT_NAMESPACE_BEGIN

// What a vertex brings to the sums of its component.
struct Contribution {
  std::int64_t features[4];
  std::uint32_t size;
  Box box;
};

SPIT_HD std::int64_t fixed_point(float feature) {
  return static_cast<std::int32_t>(feature * kFixedPoint);  // |feature| < 2
}

template <bool kPixels, bool kCompact>
struct Contributions {
  const float* planes[4];
  const Vertex* vertices;
  const Box* boxes;
  int width;

  SPIT_HD Contributions(const MergeState& state, int image)
      : planes{state.plane(image, 0), state.plane(image, 1), state.plane(image, 2), state.plane(image, 3)},
        vertices(state.of_vertices(state.vertices, image)),
        boxes(state.of_vertices(state.boxes, image)),
        width(state.width) {}

  SPIT_HD Contribution operator()(int v) const {
    Contribution c;
    for (int k = 0; k < 4; ++k) c.features[k] = fixed_point(kPixels ? planes[k][v] : vertices[v].features[k]);
    c.size = kPixels ? 1 : vertices[v].size;
    if (kCompact) {
      const int row = v / width, column = v % width;
      c.box = kPixels ? Box{row, column, row, column} : boxes[v];
    }
    return c;
  }
};

template <class Memory, bool kCompact>
SPIT_HD void add(Sums& sums, const Contribution& c) {
  for (int k = 0; k < 4; ++k) Memory::add(&sums.features[k], c.features[k]);
  Memory::add(&sums.children, 1u);
  Memory::add(&sums.size, c.size);
  if (kCompact) {
    Memory::min(&sums.box.row_low, c.box.row_low);
    Memory::min(&sums.box.column_low, c.box.column_low);
    Memory::max(&sums.box.row_high, c.box.row_high);
    Memory::max(&sums.box.column_high, c.box.column_high);
  }
}

// A range owns the components that begin in it. Nobody else touches them in this phase: their first
// vertex sets the sums, the range's others are added without atomic operations.
template <bool kPixels, bool kCompact>
struct SumOwned {
  Level level;

  SPIT_HD int limit(int image) const { return level.limit(image); }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const MergeState& state = level.state;
    const Numbers numbers(state, image);
    const Contributions<kPixels, kCompact> contributions(state, image);
    const std::int32_t* first = state.of_pixels(state.first, image);
    std::int32_t* scratch = level.scratch(image);
    Sums* sums = state.of_vertices(state.sums, image);
    const std::int32_t base = numbers(range.begin);
    for (int v = range.begin; v < range.end; ++v) {
      const std::int32_t begins_at = first[scratch[v]];
      const std::int32_t number = numbers(begins_at);
      scratch[v] = number;
      if (begins_at == v) {
        const Contribution c = contributions(v);
        sums[number] = Sums{{c.features[0], c.features[1], c.features[2], c.features[3]}, 1, c.size, c.box};
      } else if (number >= base) {
        add<Plain, kCompact>(sums[number], contributions(v));
      }
    }
  }
};

// The rest: components that began in an earlier range.
template <bool kPixels, bool kCompact>
struct SumForeign {
  Level level;

  SPIT_HD int limit(int image) const { return level.limit(image); }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    if (range.begin == 0 && range.end == level.limit(image)) return;
    const MergeState& state = level.state;
    const Contributions<kPixels, kCompact> contributions(state, image);
    const std::int32_t* number = level.scratch(image);
    Sums* sums = state.of_vertices(state.sums, image);
    const std::int32_t base = Numbers(state, image)(range.begin);
    for (int v = range.begin; v < range.end; ++v) {
      if (number[v] < base) add<Memory, kCompact>(sums[number[v]], contributions(v));
    }
  }
};

// Sums become vertices, and (beyond the first level, where they already have) pixels get their labels.
template <bool kRelabel, bool kFinish, bool kCompact>
struct FinishLevel {
  MergeState state;
  const std::int32_t* components;  // [B]

  SPIT_HD int limit(int image) const { return kRelabel ? state.pixels : components[image]; }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    if (kFinish) finish<Memory>(image, {range.begin, smaller(range.end, components[image])});
    if (!kRelabel) return;
    const std::int32_t* number = state.of_vertices(state.number, image);
    std::int32_t* labels = state.of_pixels(state.labels, image);
    SPIT_VECTORISE
    for (int p = range.begin; p < range.end; ++p) labels[p] = number[labels[p]];
  }

 private:
  template <class Memory>
  SPIT_HD void finish(int image, Range range) const {
    if (range.begin >= range.end) return;
    const Sums* sums = state.of_vertices(state.sums, image);
    Vertex* vertices = state.of_vertices(state.vertices, image);
    Box* boxes = state.of_vertices(state.boxes, image);
    std::int64_t square_sum = 0;
    for (int v = range.begin; v < range.end; ++v) {
      const Sums& s = sums[v];
      const float children = static_cast<float>(s.children);
      float f[4];
      for (int k = 0; k < 4; ++k) {
        f[k] = (static_cast<float>(s.features[k]) * (1.0f / kFixedPoint)) / children;
      }
      const float norm = sqrtf(dot4(f[0], f[1], f[2], f[3], f[0], f[1], f[2], f[3]));
      vertices[v] = Vertex{{f[0], f[1], f[2], f[3]}, norm, s.size, 0};
      if (kCompact) boxes[v] = s.box;
      square_sum += static_cast<std::int64_t>(s.size) * s.size;
    }
    Memory::add(&state.square_sum[image], square_sum);
  }
};

// Without a next level only the numbers count.
struct NumberVertices {
  Level level;

  SPIT_HD int limit(int image) const { return level.limit(image); }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const Numbers numbers(level.state, image);
    const std::int32_t* first = level.state.of_pixels(level.state.first, image);
    std::int32_t* scratch = level.scratch(image);
    for (int v = range.begin; v < range.end; ++v) scratch[v] = numbers(first[scratch[v]]);
  }
};

SPIT_NAMESPACE_END
