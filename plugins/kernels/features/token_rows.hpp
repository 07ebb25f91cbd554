// Last step of region_features: colours resampled on a grid over every region's box (docs/algorithm.md, section 4,
// "Interpolation"), and the row of numbers.
#pragma once

#include "feature_state.hpp"
#include "token_values.hpp"

SPIT_NAMESPACE_BEGIN

// low + a (high - low) / steps for a line a of the grid, split into whole and rest in integers.
struct SamplePosition {
  std::int32_t before;
  std::int32_t after;
  float part;  // how far the sample lies between them, in [0, 1)

  SPIT_HD SamplePosition(int low, std::uint32_t whole, std::uint32_t rest, int steps, int size, bool nearest) {
    before = low + static_cast<std::int32_t>(whole);
    const std::uint32_t all = static_cast<std::uint32_t>(steps);
    if (nearest) {
      before += 2 * rest > all || (2 * rest == all && before % 2 == 1);
      rest = 0;
    }
    after = smaller(before + 1, size - 1);
    part = static_cast<float>(static_cast<std::int32_t>(rest)) / static_cast<float>(steps);
  }
};

// Items are the cells of the rows in use.
template <class Value>
struct WriteTokens {
  using Stored = typename Value::Stored;

  FeatureState state;

  SPIT_HD int limit(int image) const { return state.used(image) * state.cells(); }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const int bins = state.bins;
    for (int cell = range.begin; cell < range.end;) {
      const int line = cell / bins, begin = cell % bins;
      const int end = smaller(bins, begin + range.end - cell);
      write_line(image, line / bins, line % bins, begin, end);
      cell += end - begin;
    }
  }

 private:
  SPIT_HD void write_line(int image, int region_number, int a, int begin, int end) const {
    const int channels = state.channels(), bins = state.bins;
    const Region region = state.regions_of(image)[region_number];
    Stored* out = state.template row_of<Stored>(image, region_number) + a * bins * channels;
    if (region.size == 0) {
      for (int i = begin * channels; i < end * channels; ++i) out[i] = Stored{};
      return;
    }
    sample_line(image, region_number, region, a, begin, end, out);
    const std::uint64_t* sums = state.sums_of(image, region_number) + a * bins;
    const float size = static_cast<float>(region.size);
    for (int h = 0; h < state.histograms; ++h) {
      for (int b = begin; b < end; ++b) {
        const float scaled =
            static_cast<float>(static_cast<std::int64_t>(sums[h * state.cells() + b])) * kHistogramScale;
        out[b * channels + 3 + h] = Value::rounded(scaled / size);
      }
    }
  }

  SPIT_HD void sample_line(int image, std::int32_t number, const Region& region, int a, int begin, int end,
                           Stored* out) const {
    const int steps = state.bins - 1;
    const std::uint32_t all = static_cast<std::uint32_t>(steps);
    const int row_low = state.height - region.up, column_low = state.width - region.left;
    const std::uint32_t rows = static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(region.down - 1 - row_low);
    const SamplePosition row(row_low, rows / all, rows % all, steps, state.height, state.nearest);
    const std::uint32_t extent = static_cast<std::uint32_t>(region.right - 1 - column_low);
    const std::uint32_t whole_step = extent / all, rest_step = extent % all;
    std::uint32_t whole = static_cast<std::uint32_t>(begin) * extent / all;
    std::uint32_t rest = static_cast<std::uint32_t>(begin) * extent % all;
    for (int b = begin; b < end; ++b) {
      const SamplePosition column(column_low, whole, rest, steps, state.width, state.nearest);
      sample(image, number, row, column, out + b * state.channels());
      const bool carry = rest + rest_step >= all;
      whole += whole_step + carry;
      rest = rest + rest_step - (carry ? all : 0u);
    }
  }

  // Colours at a position, times how much of the sample belongs to the region.
  SPIT_HD void sample(int image, std::int32_t number, SamplePosition row, SamplePosition column, Stored* out) const {
    const std::int32_t* labels = state.labels_of(image);
    const float row_weight[2] = {1.0f - row.part, row.part};
    const float column_weight[2] = {1.0f - column.part, column.part};
    const int rows[2] = {row.before * state.width, row.after * state.width};
    const int columns[2] = {column.before, column.after};
    float mask = 0.0f, value[3] = {0.0f, 0.0f, 0.0f};
    SPIT_UNROLL
    for (int corner = 0; corner < 4; ++corner) {
      const int place = rows[corner / 2] + columns[corner % 2];
      const float weight = row_weight[corner / 2] * column_weight[corner % 2];
      for (int c = 0; c < 3; ++c) value[c] = value[c] + (state.contrast_of(image, c)[place] * 2.0f - 1.0f) * weight;
      mask = mask + (read_once(labels + place) == number ? weight : 0.0f);
    }
    for (int c = 0; c < 3; ++c) out[c] = Value::rounded(value[c] * mask);
  }
};

SPIT_NAMESPACE_END
