// The joint histograms of joint_histograms.hpp, one pixel at a time: for executors whose blocks are
// single pixels. Nothing is kept in arrays of a size known only at run time, which a GPU would have to
// put into memory of its own for every thread.
#pragma once

#include "region_boxes.hpp"

SPIT_NAMESPACE_BEGIN

// Also finds the regions' sizes and boxes.
template <class Pixels>
struct SumPixelHistograms {
  FeatureState state;
  Pixels pixels;

  template <class Memory>
  SPIT_HD void run(int image, Block block) const {
    for (int r = block.row_begin; r < block.row_end; ++r) {
      for (int c = block.column_begin; c < block.column_end; ++c) pixel<Memory>(image, r, c);
    }
  }

 private:
  template <class Memory>
  SPIT_HD void pixel(int image, int r, int c) const {
    const std::int32_t label = read_once(state.labels_of(image) + r * state.width + c);
    if (static_cast<std::uint32_t>(label) >= static_cast<std::uint32_t>(state.used(image))) return;
    add_run<Memory>(state, state.regions_of(image)[label], r, c, c + 1);
    const float step = 2.0f / static_cast<float>(larger(state.height, state.width));
    std::uint64_t* sums = state.sums_of(image, label);
    add<Memory>(sums, static_cast<float>(r) * step - 1.0f, static_cast<float>(c) * step - 1.0f);
    if (state.histograms == 2) add_gradient<Memory>(sums + state.cells(), image, r, c);
  }

  template <class Memory>
  SPIT_HD void add_gradient(std::uint64_t* sums, int image, int r, int c) const {
    const int up = larger(r - 1, 0), down = smaller(r + 1, state.height - 1);
    const int left = larger(c - 1, 0), right = smaller(c + 1, state.width - 1);
    const float up_left = total(image, up, left), up_right = total(image, up, right);
    const float down_left = total(image, down, left), down_right = total(image, down, right);
    const float gy = gradient(down_left - up_left, total(image, down, c) - total(image, up, c), down_right - up_right);
    const float gx =
        gradient(up_right - up_left, total(image, r, right) - total(image, r, left), down_right - down_left);
    add<Memory>(sums, gy, gx);
  }

  // Summed channels.
  SPIT_HD float total(int image, int r, int c) const {
    const int at = r * state.width + c;
    return (pixels.unit(pixels.channel(image, 0)[at], 0) + pixels.unit(pixels.channel(image, 1)[at], 1)) +
           pixels.unit(pixels.channel(image, 2)[at], 2);
  }

  template <class Memory>
  SPIT_HD void add(std::uint64_t* sums, float y, float x) const {
    const KernelWeights& kernel = state.weights;
    const int row = kernel.start(y), column = kernel.start(x);
    std::uint64_t* line = sums + row * state.bins + column;
    if (kernel.window == kUsualWindow) {
      add_usual<Memory>(line, y, row, x, column);
    } else {
      add_any<Memory>(line, y, row, x, column);
    }
  }

  // With the usual window the weights stay in registers.
  template <class Memory>
  SPIT_HD void add_usual(std::uint64_t* line, float y, int row, float x, int column) const {
    std::uint32_t across[kUsualWindow];
    SPIT_UNROLL
    for (int l = 0; l < kUsualWindow; ++l) across[l] = state.weights.weight(x, column + l);
    for (int k = 0; k < kUsualWindow; ++k, line += state.bins) {
      const std::uint32_t down = state.weights.weight(y, row + k);
      if (down == 0) continue;
      SPIT_UNROLL
      for (int l = 0; l < kUsualWindow; ++l) add_product<Memory>(line + l, down, across[l]);
    }
  }

  // Otherwise they are computed again where they are needed: cheaper than the atomic addition they go to.
  template <class Memory>
  SPIT_HD void add_any(std::uint64_t* line, float y, int row, float x, int column) const {
    for (int k = 0; k < state.weights.window; ++k, line += state.bins) {
      const std::uint32_t down = state.weights.weight(y, row + k);
      if (down == 0) continue;
      for (int l = 0; l < state.weights.window; ++l) {
        add_product<Memory>(line + l, down, state.weights.weight(x, column + l));
      }
    }
  }
};

SPIT_NAMESPACE_END
