// The four vertex features of every pixel (docs/algorithm.md, section 2) and their length, tile by tile: a tile
// with a halo as wide as the diffusion has steps stays in fast memory from raw values to result.
#pragma once

#include "../common/pixel_readers.hpp"

SPIT_NAMESPACE_BEGIN

// Planes of a pixel's vertex features in memory: four features, then their Euclidean norm.
constexpr int kFeaturePlanes = 5;

SPIT_HD float dot4(float a0, float a1, float a2, float a3, float b0, float b1, float b2, float b3) {
  return ((a0 * b0 + a1 * b1) + a2 * b2) + a3 * b3;
}

// Fast memory of one tile: planes that hold the tile, its halo, and one row and column of zeros or
// fluxes before it.
struct TileScratch {
  static constexpr int kHalo = kDiffusionSteps + 1;
  static constexpr int kPlanes = 5;
  float* data;
  int stride;
  int plane_size;
  int row_origin;
  int column_origin;

  // Points at column 0 of the image, so that it is indexed by the image's column.
  SPIT_HD float* row(int plane, int r) const {
    return data + plane * plane_size + (r - row_origin) * stride - column_origin;
  }
  static constexpr SPIT_HD int floats(int rows, int columns) {
    return kPlanes * (rows + 2 * kHalo) * (columns + 2 * kHalo);
  }
};

template <class Pixels>
struct VertexFeatures {
  Pixels pixels;
  int height;
  int width;
  float* features;  // [batch, kFeaturePlanes, height, width]

  // Team runs a function over the rows of a block, all together, and waits.
  template <class Team>
  SPIT_HD void run(Team& team, int image, Block tile, TileScratch scratch) const {
    write_gradient_length(team, image, tile, scratch);
    read_colours(team, image, tile.grown(kDiffusionSteps, height, width), scratch);
    for (int step = 1; step <= kDiffusionSteps; ++step) {
      const Block block = tile.grown(kDiffusionSteps - step, height, width);
      for (int channel = 0; channel < 3; ++channel) diffuse(team, block, scratch, channel);
    }
    write_colours(team, image, tile, scratch);
  }

 private:
  static constexpr int kSouth = 3;  // planes 0...2 hold the colours
  static constexpr int kEast = 4;
  static constexpr int kTotal = 3;

  SPIT_HD float* plane(int image, int index) const {
    return features +
           (static_cast<std::int64_t>(image) * kFeaturePlanes + index) * (height * static_cast<std::int64_t>(width));
  }

  template <class Team>
  SPIT_HD void write_gradient_length(Team& team, int image, Block tile, TileScratch scratch) const {
    const Pixels in = pixels;
    const int columns = width, rows = height;
    team.rows(tile.grown(1, height, width), [=](int r, int begin, int end) {
      float* out = scratch.row(kTotal, r);
      const auto red = in.channel(image, 0) + static_cast<std::int64_t>(r) * columns;
      const auto green = in.channel(image, 1) + static_cast<std::int64_t>(r) * columns;
      const auto blue = in.channel(image, 2) + static_cast<std::int64_t>(r) * columns;
      SPIT_VECTORISE
      for (int c = begin; c < end; ++c) {
        out[c] = (in.unit(red[c], 0) + in.unit(green[c], 1)) + in.unit(blue[c], 2);
      }
    });
    float* lengths = plane(image, 3);
    team.rows(tile, [=](int r, int begin, int end) {
      const float* above = scratch.row(kTotal, larger(r - 1, 0));
      const float* here = scratch.row(kTotal, r);
      const float* below = scratch.row(kTotal, smaller(r + 1, rows - 1));
      float* out = lengths + static_cast<std::int64_t>(r) * columns;
      if (begin == 0) out[0] = length_at(above, here, below, 0, 0, smaller(1, columns - 1));
      if (end == columns) {
        out[end - 1] = length_at(above, here, below, larger(columns - 2, 0), columns - 1, columns - 1);
      }
      const int inner_begin = larger(begin, 1), inner_end = smaller(end, columns - 1);
      SPIT_VECTORISE
      for (int c = inner_begin; c < inner_end; ++c) {
        out[c] = length_at(above, here, below, c - 1, c, c + 1);
      }
    });
  }

  static SPIT_HD float length_at(const float* above, const float* here, const float* below, int left, int c,
                                 int right) {
    const float gy = gradient(below[left] - above[left], below[c] - above[c], below[right] - above[right]);
    const float gx = gradient(above[right] - above[left], here[right] - here[left], below[right] - below[left]);
    return gradient_length(gy, gx);
  }

  template <class Team>
  SPIT_HD void read_colours(Team& team, int image, Block block, TileScratch scratch) const {
    const Pixels in = pixels;
    const int columns = width;
    team.rows(block, [=](int r, int begin, int end) {
      const auto red = in.channel(image, 0) + static_cast<std::int64_t>(r) * columns;
      const auto green = in.channel(image, 1) + static_cast<std::int64_t>(r) * columns;
      const auto blue = in.channel(image, 2) + static_cast<std::int64_t>(r) * columns;
      float* out0 = scratch.row(0, r);
      float* out1 = scratch.row(1, r);
      float* out2 = scratch.row(2, r);
      SPIT_VECTORISE
      for (int c = begin; c < end; ++c) {
        float luma, chroma_blue, chroma_red;
        opponent_colours(in.template contrasted<0>(red[c]), in.template contrasted<1>(green[c]),
                         in.template contrasted<2>(blue[c]), luma, chroma_blue, chroma_red);
        out0[c] = luma;
        out1[c] = chroma_blue;
        out2[c] = chroma_red;
      }
    });
  }

  // One step of one channel: fluxes over the block and the row and column before it, then their
  // balance. A flux across the image's edge is 0.
  template <class Team>
  SPIT_HD void diffuse(Team& team, Block block, TileScratch scratch, int channel) const {
    const int columns = width, rows = height;
    const Block before{block.row_begin - 1, block.row_end, block.column_begin - 1, block.column_end};
    team.rows(before, [=](int r, int begin, int end) {
      float* south = scratch.row(kSouth, r);
      float* east = scratch.row(kEast, r);
      const bool inside = r >= 0 && r < rows - 1;
      const float* here = scratch.row(channel, larger(r, 0));
      const float* below = scratch.row(channel, inside ? r + 1 : larger(r, 0));
      const int first = larger(begin, 0), inner_end = smaller(end, columns - 1);
      SPIT_VECTORISE
      for (int c = first; c < end; ++c) south[c] = flux(below[c] - here[c]);
      if (begin < 0) east[-1] = 0.0f;
      if (end == columns) east[columns - 1] = 0.0f;
      SPIT_VECTORISE
      for (int c = first; c < inner_end; ++c) {
        east[c] = flux(here[c + 1] - here[c]);
      }
    });
    team.rows(block, [=](int r, int begin, int end) {
      const float* south = scratch.row(kSouth, r);
      const float* north = scratch.row(kSouth, r - 1);
      const float* east = scratch.row(kEast, r);
      float* u = scratch.row(channel, r);
      SPIT_VECTORISE
      for (int c = begin; c < end; ++c) {
        const float inflow = (south[c] - north[c]) + (east[c] - east[c - 1]);
        u[c] = u[c] + inflow * kDiffusionGamma;
      }
    });
  }

  template <class Team>
  SPIT_HD void write_colours(Team& team, int image, Block tile, TileScratch scratch) const {
    const int columns = width;
    float* out[kFeaturePlanes] = {plane(image, 0), plane(image, 1), plane(image, 2), plane(image, 3), plane(image, 4)};
    team.rows(tile, [=](int r, int begin, int end) {
      const std::int64_t row = static_cast<std::int64_t>(r) * columns;
      const float* in0 = scratch.row(0, r);
      const float* in1 = scratch.row(1, r);
      const float* in2 = scratch.row(2, r);
      const float* in3 = out[3] + row;
      float* out0 = out[0] + row;
      float* out1 = out[1] + row;
      float* out2 = out[2] + row;
      float* norm = out[4] + row;
      SPIT_VECTORISE
      for (int c = begin; c < end; ++c) {
        const float a = clip(in0[c], -1.0f, 1.0f);
        const float b = clip(in1[c], -1.0f, 1.0f);
        const float d = clip(in2[c], -1.0f, 1.0f);
        const float e = in3[c];
        out0[c] = a;
        out1[c] = b;
        out2[c] = d;
        norm[c] = sqrtf(dot4(a, b, d, e, a, b, d, e));
      }
    });
  }
};

SPIT_NAMESPACE_END
