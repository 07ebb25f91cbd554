// Joint histograms of positions and of gradients over every region (docs/algorithm.md, section 4), as integer sums.
#pragma once

#include "region_boxes.hpp"

SPIT_NAMESPACE_BEGIN

constexpr int kPiece = 64;  // pixels of a row whose weights are computed together

// Windows of weights of the values of a piece.
struct PieceWeights {
  std::int32_t start[kPiece];
  std::uint32_t weight[kMaxBins][kPiece];

  SPIT_HD void fill(const KernelWeights& kernel, const float* values, int count) {
    SPIT_VECTORISE
    for (int i = 0; i < count; ++i) start[i] = kernel.start(values[i]);
    for (int k = 0; k < kernel.window; ++k) {
      SPIT_VECTORISE
      for (int i = 0; i < count; ++i) weight[k][i] = kernel.weight(values[i], start[i] + k);
    }
  }
};

// Window of weights of one value, that of a row's position.
struct RowWeights {
  std::int32_t start;
  std::uint32_t weight[kMaxBins];

  SPIT_HD RowWeights(const KernelWeights& kernel, float value) : start(kernel.start(value)) {
    for (int k = 0; k < kernel.window; ++k) weight[k] = kernel.weight(value, start + k);
  }
};

// Sizes and boxes are known. Regions that lie in the block are nobody else's: their sums need no atomic
// operations.
template <class Pixels>
struct SumHistograms {
  FeatureState state;
  Pixels pixels;

  template <class Memory>
  SPIT_HD void run(int image, Block block) const {
    for (int c = block.column_begin; c < block.column_end; c += kPiece) {
      piece<Memory>(image, block, c, smaller(kPiece, block.column_end - c));
    }
  }

 private:
  static constexpr int kTotals = kPiece + 2;

  // One piece of every row of the block, from top to bottom.
  template <class Memory>
  SPIT_HD void piece(int image, Block block, int column, int count) const {
    const float step = 2.0f / static_cast<float>(larger(state.height, state.width));
    PieceWeights across, gy, gx;
    float values[kPiece], values_x[kPiece];
    for (int i = 0; i < count; ++i) values[i] = static_cast<float>(column + i) * step - 1.0f;
    across.fill(state.weights, values, count);
    const bool gradients = state.histograms == 2;
    float totals[3][kTotals];
    if (gradients) {
      fill_totals(totals[(block.row_begin + 2) % 3], image, larger(block.row_begin - 1, 0), column, count);
      fill_totals(totals[block.row_begin % 3], image, block.row_begin, column, count);
    }
    for (int r = block.row_begin; r < block.row_end; ++r) {
      if (gradients) {
        fill_totals(totals[(r + 1) % 3], image, smaller(r + 1, state.height - 1), column, count);
        gradient_row(totals[(r + 2) % 3], totals[r % 3], totals[(r + 1) % 3], count, values, values_x);
        gy.fill(state.weights, values, count);
        gx.fill(state.weights, values_x, count);
      }
      const RowWeights down(state.weights, static_cast<float>(r) * step - 1.0f);
      runs<Memory>(image, block, r, column, count, down, across, gy, gx);
    }
  }

  // Summed channels of a row, from one column before the piece to one after, edges replicated.
  SPIT_HD void fill_totals(float* out, int image, int r, int column, int count) const {
    const Pixels in = pixels;
    const auto red = in.channel(image, 0) + static_cast<std::int64_t>(r) * state.width;
    const auto green = in.channel(image, 1) + static_cast<std::int64_t>(r) * state.width;
    const auto blue = in.channel(image, 2) + static_cast<std::int64_t>(r) * state.width;
    const int begin = larger(column - 1, 0), end = smaller(column + count + 1, state.width);
    float* at = out + 1 - column;  // indexed by the image's column
    SPIT_VECTORISE
    for (int c = begin; c < end; ++c) at[c] = (in.unit(red[c], 0) + in.unit(green[c], 1)) + in.unit(blue[c], 2);
    if (begin == column) at[column - 1] = at[column];
    if (end == column + count) at[end] = at[end - 1];
  }

  static SPIT_HD void gradient_row(const float* above, const float* here, const float* below, int count, float* gy,
                                   float* gx) {
    SPIT_VECTORISE
    for (int i = 0; i < count; ++i) {
      gy[i] = gradient(below[i] - above[i], below[i + 1] - above[i + 1], below[i + 2] - above[i + 2]);
      gx[i] = gradient(above[i + 2] - above[i], here[i + 2] - here[i], below[i + 2] - below[i]);
    }
  }

  template <class Memory>
  SPIT_HD void runs(int image, Block block, int r, int column, int count, const RowWeights& down,
                    const PieceWeights& across, const PieceWeights& gy, const PieceWeights& gx) const {
    const std::uint32_t used = static_cast<std::uint32_t>(state.used(image));
    const std::int32_t* row = state.labels_of(image) + static_cast<std::int64_t>(r) * state.width + column;
    const Region* regions = state.regions_of(image);
    for (int i = 0, begin = 0; i < count; begin = i) {
      const std::int32_t label = read_once(row + i);
      for (++i; i < count && read_once(row + i) == label;) ++i;
      if (static_cast<std::uint32_t>(label) >= used) continue;
      std::uint64_t* sums = state.sums_of(image, label);
      if (inside(regions[label], block)) {
        add_positions<Plain>(sums, down, across, begin, i);
        if (state.histograms == 2) add_gradients<Plain>(sums + state.cells(), gy, gx, begin, i);
      } else {
        add_positions<Memory>(sums, down, across, begin, i);
        if (state.histograms == 2) add_gradients<Memory>(sums + state.cells(), gy, gx, begin, i);
      }
    }
  }

  SPIT_HD bool inside(const Region& region, Block block) const {
    return state.height - region.up >= block.row_begin && region.down <= block.row_end &&
           state.width - region.left >= block.column_begin && region.right <= block.column_end;
  }

  // A run's pixels have one row: their weights across are summed up first.
  template <class Memory>
  SPIT_HD void add_positions(std::uint64_t* sums, const RowWeights& down, const PieceWeights& across, int begin,
                             int end) const {
    const int window = state.weights.window, first = across.start[begin];
    const int touched = across.start[end - 1] + window - first;
    std::uint32_t column_sums[kMaxBins];
    for (int l = 0; l < touched; ++l) column_sums[l] = 0;
    for (int i = begin; i < end; ++i) {
      std::uint32_t* at = column_sums + (across.start[i] - first);
      for (int k = 0; k < window; ++k) at[k] += across.weight[k][i];
    }
    for (int k = 0; k < window; ++k) {
      if (down.weight[k] == 0) continue;
      std::uint64_t* line = sums + (down.start + k) * state.bins + first;
      for (int l = 0; l < touched; ++l) add_product<Memory>(line + l, down.weight[k], column_sums[l]);
    }
  }

  // The usual window has a loop of its own, without a count to test.
  template <class Memory>
  SPIT_HD void add_gradients(std::uint64_t* sums, const PieceWeights& gy, const PieceWeights& gx, int begin,
                             int end) const {
    if (Memory::kAddsAreFree && state.weights.window == kUsualWindow) {
      add_window<Memory, kUsualWindow>(sums, gy, gx, begin, end);
    } else {
      add_window<Memory, 0>(sums, gy, gx, begin, end);
    }
  }

  template <class Memory, int kWindow>
  SPIT_HD void add_window(std::uint64_t* sums, const PieceWeights& gy, const PieceWeights& gx, int begin,
                          int end) const {
    const int window = kWindow ? kWindow : state.weights.window;
    for (int i = begin; i < end; ++i) {
      std::uint64_t* line = sums + gy.start[i] * state.bins + gx.start[i];
      for (int k = 0; k < window; ++k, line += state.bins) {
        if (!Memory::kAddsAreFree && gy.weight[k][i] == 0) continue;
        for (int l = 0; l < window; ++l) add_product<Memory>(line + l, gy.weight[k][i], gx.weight[l][i]);
      }
    }
  }
};

SPIT_NAMESPACE_END
