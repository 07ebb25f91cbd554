// The op voronoi_tessellation: cells of random sites, in integers. Defined by
// spit_ref/tessellation.py; cells are numbered by the machinery of the merge.
#pragma once

#include <cmath>

#include "../common/workspace.hpp"
#include "../contracts.hpp"
#include "../merge/contraction.hpp"
#include "philox.hpp"

SPIT_NAMESPACE_BEGIN

constexpr int kSubpixel = 16;  // sites lie on a grid of 1/16 pixel

struct Site {
  std::int32_t y;
  std::int32_t x;
};

struct VoronoiState {
  MergeState numbering;  // labels, first, bits, ranks, chunk_sums, square_sum
  const std::int64_t* seeds;
  Site* sites;  // [B, count]
  int count;

  SPIT_HD Site* of(int image) const { return sites + static_cast<std::int64_t>(image) * count; }
};

struct DrawSites {
  VoronoiState state;

  SPIT_HD int limit(int) const { return state.numbering.pixels; }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const MergeState& n = state.numbering;
    Site* sites = state.of(image);
    for (int k = range.begin; k < smaller(range.end, state.count); ++k) {
      const PhiloxWords words = philox4x32(k, static_cast<std::uint64_t>(state.seeds[image]));
      sites[k] = {scaled(words.word[0], n.height), scaled(words.word[1], n.width)};
      n.of_pixels(n.first, image)[k] = n.pixels;
    }
    std::uint32_t* bits = n.bits + static_cast<std::int64_t>(image) * n.words;
    for (int word = (range.begin + 31) / 32; word * 32 < range.end; ++word) bits[word] = 0;
  }

  static SPIT_HD std::int32_t scaled(std::uint32_t word, int size) {
    return static_cast<std::int32_t>(
        (static_cast<std::uint64_t>(word) * (kSubpixel * static_cast<std::uint64_t>(size))) >> 32);
  }
};

// Nearest site of every pixel, the first of several. A tile looks only at the sites that can be nearest
// to one of its pixels: those no farther from its middle than the nearest one and its diameter.
struct NearestSites {
  VoronoiState state;

  template <class Memory>
  SPIT_HD void run(int image, Block block) const {
    for (int r = block.row_begin; r < block.row_end; r += kTile) {
      for (int c = block.column_begin; c < block.column_end; c += kTile) {
        tile<Memory>(image, {r, smaller(r + kTile, block.row_end), c, smaller(c + kTile, block.column_end)});
      }
    }
  }

 private:
#if defined(__CUDACC__)
  static constexpr int kTile = 1;
  static constexpr int kMostCandidates = 1;
#else
  static constexpr int kTile = 16;
  static constexpr int kMostCandidates = 128;
#endif

  static SPIT_HD std::int64_t square_distance(Site site, std::int64_t y, std::int64_t x) {
    return (site.y - y) * (site.y - y) + (site.x - x) * (site.x - x);
  }

  template <class Memory>
  SPIT_HD void tile(int image, Block block) const {
    const MergeState& n = state.numbering;
    std::int32_t candidates[kMostCandidates];
    const int found = kTile == 1 ? kMostCandidates + 1 : select(image, block, candidates);
    const bool all = found > kMostCandidates;
    std::int32_t* labels = n.of_pixels(n.labels, image);
    std::int32_t* first = n.of_pixels(n.first, image);
    for (int r = block.row_begin; r < block.row_end; ++r) {
      for (int c = block.column_begin; c < block.column_end; ++c) {
        const int p = r * n.width + c;
        labels[p] = nearest(image, r, c, candidates, all ? state.count : found, all);
        if (p < Memory::load(first + labels[p])) Memory::min(first + labels[p], p);
      }
    }
  }

  SPIT_HD std::int32_t nearest(int image, int r, int c, const std::int32_t* candidates, int count, bool all) const {
    const Site* sites = state.of(image);
    const std::int64_t y = r * std::int64_t{kSubpixel} + kSubpixel / 2;
    const std::int64_t x = c * std::int64_t{kSubpixel} + kSubpixel / 2;
    std::int32_t best = 0;
    std::int64_t best_distance = INT64_MAX;
    for (int i = 0; i < count; ++i) {
      const std::int32_t k = all ? i : candidates[i];
      const std::int64_t distance = square_distance(sites[k], y, x);
      if (distance < best_distance) {
        best_distance = distance;
        best = k;
      }
    }
    return best;
  }

  // How many candidates there are; they are listed in ascending order while there is room.
  SPIT_HD int select(int image, Block block, std::int32_t* candidates) const {
    const Site* sites = state.of(image);
    const std::int64_t y = (block.row_begin + block.row_end) * std::int64_t{kSubpixel / 2};
    const std::int64_t x = (block.column_begin + block.column_end) * std::int64_t{kSubpixel / 2};
    std::int64_t nearest = INT64_MAX;
    for (int k = 0; k < state.count; ++k) nearest = smaller(nearest, square_distance(sites[k], y, x));
    // The diameter is below 3/2 of the side; two sixteenths more than cover the rounding.
    const double reach = sqrt(static_cast<double>(nearest)) + 1.5 * kTile * kSubpixel + 2.0;
    const std::int64_t limit = static_cast<std::int64_t>(reach * reach);
    int found = 0;
    for (int k = 0; k < state.count; ++k) {
      if (square_distance(sites[k], y, x) > limit) continue;
      if (found < kMostCandidates) candidates[found] = k;
      ++found;
    }
    return found;
  }
};

// round(sqrt(height width)), in integers.
inline int site_count(int height, int width) {
  const std::int64_t pixels = static_cast<std::int64_t>(height) * width;
  std::int64_t root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(pixels)));
  while (root * root > pixels) --root;
  while ((root + 1) * (root + 1) <= pixels) ++root;
  return static_cast<int>(root + (pixels > root * root + root ? 1 : 0));
}

// 4 1/4 bytes a pixel and 8 a site. workspace may be null: then only bytes is of use.
inline VoronoiState lay_out_voronoi(const SpitVoronoi& a, std::size_t& bytes) {
  Workspace workspace(a.workspace);
  VoronoiState state{};
  MergeState& n = state.numbering;
  n.height = a.height;
  n.width = a.width;
  n.pixels = a.height * a.width;
  n.words = (n.pixels + 31) / 32;
  n.chunks = (n.words + kChunkWords - 1) / kChunkWords;
  n.labels = a.labels;
  n.first = workspace.take<std::int32_t>(static_cast<std::int64_t>(a.batch) * n.pixels);
  n.bits = workspace.take<std::uint32_t>(static_cast<std::int64_t>(a.batch) * n.words);
  n.ranks = workspace.take<std::int32_t>(static_cast<std::int64_t>(a.batch) * n.words);
  n.chunk_sums = workspace.take<std::int32_t>(static_cast<std::int64_t>(a.batch) * n.chunks);
  n.square_sum = workspace.take<std::int64_t>(a.batch);
  state.seeds = a.seeds;
  state.count = site_count(a.height, a.width);
  state.sites = workspace.take<Site>(static_cast<std::int64_t>(a.batch) * state.count);
  bytes = workspace.bytes();
  return state;
}

inline std::size_t workspace_bytes(const SpitVoronoi& a) {
  std::size_t bytes = 0;
  lay_out_voronoi(a, bytes);
  return bytes;
}

template <class Executor>
void run_op(Executor& executor, const SpitVoronoi& a) {
  std::size_t bytes = 0;
  const VoronoiState state = lay_out_voronoi(a, bytes);
  const MergeState& n = state.numbering;
  const Level level{n, Count{nullptr, n.pixels}, true};
  executor.ranges(DrawSites{state}, a.batch, n.pixels);
  executor.blocks(NearestSites{state}, a.batch, n.height, n.width);
  executor.ranges(MarkFirsts{level}, a.batch, n.pixels);
  executor.ranges(SumChunks{{level}}, a.batch, n.chunks);
  executor.ranges(RankWords{{level}, a.counts}, a.batch, n.chunks);
  executor.ranges(NumberVertices{level}, a.batch, n.pixels);
}

SPIT_NAMESPACE_END
