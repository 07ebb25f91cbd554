// Every vertex takes the neighbour with the largest (score, number); docs/algorithm.md, section 3, "Choice".
#pragma once

#include "merge_state.hpp"

SPIT_NAMESPACE_BEGIN

// Pixels look at their four neighbours themselves, so no item writes what another one reads.
template <bool kCompact>
struct ChoosePixelNeighbour {
  MergeState state;
  Blend blend;

  template <class Memory>
  SPIT_HD void run(int image, Block block) const {
    const Planes planes{state.plane(image, 0), state.plane(image, 1), state.plane(image, 2), state.plane(image, 3),
                        state.plane(image, 4)};
    std::int32_t* choice = state.of_pixels(state.labels, image);
    for (int r = block.row_begin; r < block.row_end; ++r) {
      row(planes, choice, r, block.column_begin, block.column_end);
    }
  }

 private:
  struct Planes {
    const float* f0;
    const float* f1;
    const float* f2;
    const float* f3;
    const float* norm;
  };

  SPIT_HD void row(Planes f, std::int32_t* choice, int r, int begin, int end) const {
    const int last = state.width - 1;
    const int row_start = r * state.width;
    const Neighbour up = neighbour(r > 0, -state.width), down = neighbour(r < state.height - 1, state.width);
    const Neighbour left = neighbour(true, -1), right = neighbour(last > 0, 1), none = neighbour(false, 0);
    if (begin == 0) choice[row_start] = choose(f, row_start, up, none, right, down);
    if (end == state.width && last > 0) {
      choice[row_start + last] = choose(f, row_start + last, up, left, none, down);
    }
    const int inner_begin = larger(begin, 1), inner_end = smaller(end, last);
    SPIT_VECTORISE
    for (int c = inner_begin; c < inner_end; ++c) {
      choice[row_start + c] = choose(f, row_start + c, up, left, right, down);
    }
  }

  // Where there is no neighbour, the pixel itself stands in, and the sign bit makes its score the lowest:
  // without a branch, so that rows vectorise.
  struct Neighbour {
    int offset;
    std::int32_t missing;
  };

  static SPIT_HD Neighbour neighbour(bool exists, int offset) { return {exists ? offset : 0, exists ? 0 : INT32_MIN}; }

  // Neighbours in ascending order: of equal scores the last one counts.
  SPIT_HD std::int32_t choose(Planes f, int p, Neighbour up, Neighbour left, Neighbour right, Neighbour down) const {
    std::int32_t best = -1, choice = p;
    consider(f, p, up, best, choice);
    consider(f, p, left, best, choice);
    consider(f, p, right, best, choice);
    consider(f, p, down, best, choice);
    return choice;
  }

  SPIT_HD void consider(Planes f, int p, Neighbour n, std::int32_t& best, std::int32_t& choice) const {
    const int q = p + n.offset;
    const float dot = dot4(f.f0[p], f.f1[p], f.f2[p], f.f3[p], f.f0[q], f.f1[q], f.f2[q], f.f3[q]);
    float score = similarity(dot, f.norm[p] * f.norm[q]);
    // Two pixels side by side: area 2, and a box of half perimeter 3.
    if (kCompact) score = blend(score, 2, Box{0, 0, 0, 1});
    const std::int32_t found = quantised(score) | n.missing;
    choice = found >= best ? q : choice;
    best = larger(best, found);
  }
};

// Merged vertices: neighbouring pixels with different labels are the edges. An edge that has been
// seen at the pixel before (above it, or left of it) need not be scored again. Edges are collected
// first and scored together: which pixels have one is hard to predict, and scores vectorise.
template <bool kCompact>
struct ScoreEdges {
  MergeState state;
  Blend blend;

  template <class Memory>
  SPIT_HD void run(int image, Block block) const {
    Edges edges;
    for (int r = block.row_begin; r < block.row_end; ++r) {
      for (int c = block.column_begin; c < block.column_end; c += kPiece) {
        collect(image, r, c, smaller(c + kPiece, block.column_end), edges);
        score(image, edges);
        offer<Memory>(image, edges);
      }
    }
  }

 private:
#if defined(__CUDACC__)
  static constexpr int kPiece = 1;
#else
  static constexpr int kPiece = 128;
#endif

  struct Edges {
    int count;
    std::int32_t u[2 * kPiece];
    std::int32_t v[2 * kPiece];
    std::int32_t q[2 * kPiece];

    SPIT_HD void add(std::int32_t a, std::int32_t b, bool wanted) {
      u[count] = a;
      v[count] = b;
      count += wanted;
    }
  };

  SPIT_HD void collect(int image, int r, int begin, int end, Edges& edges) const {
    const int width = state.width;
    const std::int32_t* here = state.of_pixels(state.labels, image) + r * width;
    const std::int32_t* above = r > 0 ? here - width : here;
    const std::int32_t* below = r + 1 < state.height ? here + width : here;
    edges.count = 0;
    for (int c = begin; c < end; ++c) {
      const int left = c > 0 ? c - 1 : 0, right = c + 1 < width ? c + 1 : c;
      const std::int32_t u = here[c];
      const bool seen_above = (r > 0) & (above[c] == u) & (above[right] == here[right]);
      edges.add(u, here[right], (here[right] != u) & !seen_above);
      const bool seen_left = (c > 0) & (here[left] == u) & (below[left] == below[c]);
      edges.add(u, below[c], (below[c] != u) & !seen_left);
    }
  }

  SPIT_HD void score(int image, Edges& edges) const {
    const Vertex* vertices = state.of_vertices(state.vertices, image);
    const Box* boxes = state.of_vertices(state.boxes, image);
    SPIT_VECTORISE
    for (int i = 0; i < edges.count; ++i) {
      const Vertex& a = vertices[edges.u[i]];
      const Vertex& b = vertices[edges.v[i]];
      const float dot = dot4(a.features[0], a.features[1], a.features[2], a.features[3], b.features[0], b.features[1],
                             b.features[2], b.features[3]);
      float score = similarity(dot, a.norm * b.norm);
      if (kCompact) score = blend(score, a.size + b.size, joint(boxes[edges.u[i]], boxes[edges.v[i]]));
      edges.q[i] = quantised(score);
    }
  }

  template <class Memory>
  SPIT_HD void offer(int image, const Edges& edges) const {
    Vertex* vertices = state.of_vertices(state.vertices, image);
    for (int i = 0; i < edges.count; ++i) {
      Memory::max(&vertices[edges.u[i]].best, choice_key(edges.q[i], edges.v[i]));
      Memory::max(&vertices[edges.v[i]].best, choice_key(edges.q[i], edges.u[i]));
    }
  }
};

// The edge to itself competes too.
template <bool kCompact>
struct ChooseVertexNeighbour {
  Level level;
  Blend blend;

  SPIT_HD int limit(int image) const { return level.limit(image); }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const MergeState& state = level.state;
    const SizeStatistics sizes(state.pixels, level.limit(image), state.square_sum[image]);
    const Vertex* vertices = state.of_vertices(state.vertices, image);
    std::int32_t* choice = level.scratch(image);
    for (int v = range.begin; v < range.end; ++v) {
      float score = sizes.alone(vertices[v].size);
      if (kCompact) score = blend(score, vertices[v].size, state.of_vertices(state.boxes, image)[v]);
      const std::uint64_t key = larger(vertices[v].best, choice_key(quantised(score), v));
      choice[v] = static_cast<std::int32_t>(key & 0xFFFFFFFFu);
    }
  }
};

// Cycles of choices are never longer than two: the smaller vertex of a mutual pair is the root.
struct ChoicesToParents {
  Level level;

  SPIT_HD int limit(int image) const { return level.limit(image); }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const MergeState& state = level.state;
    const std::int32_t* choice = level.scratch(image);
    std::int32_t* parent = state.of_pixels(state.parent, image);
    std::int32_t* first = state.of_pixels(state.first, image);
    std::uint32_t* bits = state.bits + static_cast<std::int64_t>(image) * state.words;
    SPIT_VECTORISE
    for (int v = range.begin; v < range.end; ++v) {
      const std::int32_t c = choice[v];
      parent[v] = choice[c] == v && v < c ? v : c;
      first[v] = v;
    }
    for (int word = (range.begin + 31) / 32; word * 32 < range.end; ++word) bits[word] = 0;
  }
};

SPIT_NAMESPACE_END
