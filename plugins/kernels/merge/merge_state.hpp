// Everything a merge reads and writes, for a whole batch, by plain pointers.
#pragma once

#include "scores.hpp"

SPIT_NAMESPACE_BEGIN

// Sums over the children of a vertex in the making: integers, so that their order cannot matter.
struct Sums {
  std::int64_t features[4];  // in units of 2^-30
  std::uint32_t children;
  std::uint32_t size;
  Box box;
};

constexpr float kFixedPoint = 1073741824.0f;  // 2^30

struct MergeState {
  int height;
  int width;
  int pixels;        // height * width
  int vertices_cap;  // per image: after one level every vertex has two pixels or more
  int words;         // per image, of the bit set below
  int chunks;        // per image, of kChunkWords words

  float* features;           // [B, kFeaturePlanes, pixels]
  std::int32_t* labels;      // [B, pixels] the result; vertex of every pixel in between
  std::int32_t* parent;      // [B, pixels] next step towards the root
  std::int32_t* first;       // [B, pixels] at a root: smallest vertex of its component
  std::uint32_t* bits;       // [B, words] which vertices are the first of their component
  std::int32_t* ranks;       // [B, words] how many of them come before a word
  std::int32_t* chunk_sums;  // [B, chunks]
  Vertex* vertices;          // [B, vertices_cap]
  Box* boxes;                // [B, vertices_cap]
  std::int32_t* number;      // [B, vertices_cap] a vertex's choice, then root, then number of its component
  Sums* sums;                // [B, vertices_cap]
  std::int64_t* square_sum;  // [B] of the sizes

  template <class T>
  SPIT_HD T* of_pixels(T* base, int image) const {
    return base + static_cast<std::int64_t>(image) * pixels;
  }
  template <class T>
  SPIT_HD T* of_vertices(T* base, int image) const {
    return base + static_cast<std::int64_t>(image) * vertices_cap;
  }
  SPIT_HD const float* plane(int image, int index) const {
    return features + (static_cast<std::int64_t>(image) * kFeaturePlanes + index) * pixels;
  }
};

// How many items of an image a phase has: one number for all, or one per image, known on the device.
struct Count {
  const std::int32_t* per_image;
  int constant;

  SPIT_HD int of(int image) const { return per_image ? per_image[image] : constant; }
};

// The vertices of one level: pixels at first, merged vertices later.
struct Level {
  MergeState state;
  Count count;
  bool pixel_level;

  // Choice, then root, then number of every vertex.
  SPIT_HD std::int32_t* scratch(int image) const {
    return pixel_level ? state.of_pixels(state.labels, image) : state.of_vertices(state.number, image);
  }
  SPIT_HD int limit(int image) const { return count.of(image); }
};

SPIT_NAMESPACE_END
