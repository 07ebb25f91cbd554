// First steps of region_features: contrasted colours, clean sums, sizes and boxes of the regions; and
// how sums grow.
#pragma once

#include "feature_state.hpp"

SPIT_NAMESPACE_BEGIN

// The part of an array of count elements that falls to a range of items out of all.
template <class T>
SPIT_HD void clear_share(T* array, std::int64_t count, Range range, int all) {
  const std::int64_t end = count * range.end / all;
  for (std::int64_t i = count * range.begin / all; i < end; ++i) array[i] = T{};
}

// Items are pixels; the clearing is shared out among them.
template <class Pixels>
struct PrepareFeatures {
  FeatureState state;
  Pixels pixels;

  SPIT_HD int limit(int) const { return state.pixels; }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const std::int64_t used = state.used(image), unused = state.max_tokens - used;
    clear_share(state.regions_of(image), used, range, state.pixels);
    clear_share(state.sums_of(image, 0), used * state.histograms * state.cells(), range, state.pixels);
    clear_share(state.halves_of(image, used), unused * state.row_halves(), range, state.pixels);
    write_contrast<0>(image, range);
    write_contrast<1>(image, range);
    write_contrast<2>(image, range);
  }

 private:
  template <int kChannel>
  SPIT_HD void write_contrast(int image, Range range) const {
    const Pixels in = pixels;
    const auto raw = in.channel(image, kChannel);
    float* out = state.contrast_of(image, kChannel);
    SPIT_VECTORISE
    for (int p = range.begin; p < range.end; ++p) out[p] = in.template contrasted<kChannel>(raw[p]);
  }
};

// Runs of one label in a row count as one.
template <class Memory>
SPIT_HD void add_run(const FeatureState& state, Region& region, int row, int begin, int end) {
  Memory::add(&region.size, static_cast<std::uint32_t>(end - begin));
  Memory::max(&region.up, state.height - row);
  Memory::max(&region.left, state.width - begin);
  Memory::max(&region.down, row + 1);
  Memory::max(&region.right, end);
}

// Adding nothing is cheaper than a branch, but not than an atomic operation.
template <class Memory>
SPIT_HD void add_product(std::uint64_t* sum, std::uint32_t a, std::uint32_t b) {
  if (Memory::kAddsAreFree || b != 0) Memory::add(sum, static_cast<std::uint64_t>(a) * b);
}

struct FindBoxes {
  FeatureState state;

  template <class Memory>
  SPIT_HD void run(int image, Block block) const {
    const std::uint32_t used = static_cast<std::uint32_t>(state.used(image));
    Region* regions = state.regions_of(image);
    for (int r = block.row_begin; r < block.row_end; ++r) {
      const std::int32_t* row = state.labels_of(image) + static_cast<std::int64_t>(r) * state.width;
      for (int c = block.column_begin, begin = c; c < block.column_end; begin = c) {
        const std::int32_t label = read_once(row + c);
        for (++c; c < block.column_end && read_once(row + c) == label;) ++c;
        if (static_cast<std::uint32_t>(label) < used) add_run<Memory>(state, regions[label], r, begin, c);
      }
    }
  }
};

SPIT_NAMESPACE_END
