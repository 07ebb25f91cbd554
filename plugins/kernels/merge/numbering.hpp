// From trees of parents to components numbered by their first vertex, without a sort: the first
// vertices are a bit set, and a component's number is the rank of its first vertex in it.
#pragma once

#include "merge_state.hpp"

SPIT_NAMESPACE_BEGIN

constexpr int kChunkWords = 32;

// Finds every vertex's root and every component's smallest vertex. Paths are split on the way, by all
// items at once: whatever another item has written is an ancestor too, so the root is the same in any
// order. Chains of choices can be as long as the image is large, this keeps the walks short.
struct FindRoots {
  Level level;

  SPIT_HD int limit(int image) const { return level.limit(image); }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const MergeState& state = level.state;
    std::int32_t* parent = state.of_pixels(state.parent, image);
    std::int32_t* first = state.of_pixels(state.first, image);
    std::int32_t* root = level.scratch(image);
    // Ties go to the higher number, so flat areas point onwards: from the end, walks are one step.
    for (int v = range.end - 1; v >= range.begin; --v) root[v] = find<Memory>(parent, v);
    for (int v = range.begin; v < range.end; ++v) {
      if (v < root[v] && v < Memory::load(first + root[v])) Memory::min(first + root[v], v);
    }
  }

  template <class Memory>
  static SPIT_HD std::int32_t find(std::int32_t* parent, std::int32_t v) {
    std::int32_t up = Memory::load(parent + v);
    for (std::int32_t next = Memory::load(parent + up); next != up; next = Memory::load(parent + up)) {
      Memory::store(parent + v, next);
      v = up;
      up = next;
    }
    return up;
  }
};

struct MarkFirsts {
  Level level;

  SPIT_HD int limit(int image) const { return level.limit(image); }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const MergeState& state = level.state;
    const std::int32_t* first = state.of_pixels(state.first, image);
    const std::int32_t* root = level.scratch(image);
    std::uint32_t* bits = state.bits + static_cast<std::int64_t>(image) * state.words;
    int word = range.begin / 32;
    std::uint32_t found = 0;
    for (int v = range.begin; v < range.end; ++v) {
      if (v / 32 != word) {
        if (found) Memory::set_bits(bits + word, found);
        word = v / 32;
        found = 0;
      }
      found |= static_cast<std::uint32_t>(first[root[v]] == v) << (v % 32);
    }
    if (found) Memory::set_bits(bits + word, found);
  }
};

// Items are chunks of words.
struct ChunkPhase {
  Level level;

  SPIT_HD int limit(int image) const { return (words(image) + kChunkWords - 1) / kChunkWords; }

 protected:
  SPIT_HD int words(int image) const { return (level.limit(image) + 31) / 32; }
  SPIT_HD Range words_of(int chunk, int image) const {
    return {chunk * kChunkWords, smaller((chunk + 1) * kChunkWords, words(image))};
  }
};

struct SumChunks : ChunkPhase {
  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const MergeState& state = level.state;
    const std::uint32_t* bits = state.bits + static_cast<std::int64_t>(image) * state.words;
    std::int32_t* sums = state.chunk_sums + static_cast<std::int64_t>(image) * state.chunks;
    for (int chunk = range.begin; chunk < range.end; ++chunk) {
      const Range words = words_of(chunk, image);
      std::int32_t sum = 0;
      for (int w = words.begin; w < words.end; ++w) sum += population(bits[w]);
      sums[chunk] = sum;
    }
  }
};

// Also announces the number of components, and clears what the next level sums up.
struct RankWords : ChunkPhase {
  std::int32_t* components;  // [B]

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    const MergeState& state = level.state;
    const std::uint32_t* bits = state.bits + static_cast<std::int64_t>(image) * state.words;
    std::int32_t* ranks = state.ranks + static_cast<std::int64_t>(image) * state.words;
    const std::int32_t* sums = state.chunk_sums + static_cast<std::int64_t>(image) * state.chunks;
    if (range.begin == 0) state.square_sum[image] = 0;
    std::int32_t rank = 0;
    for (int chunk = 0; chunk < range.begin; ++chunk) rank += sums[chunk];
    for (int chunk = range.begin; chunk < range.end; ++chunk) {
      const Range words = words_of(chunk, image);
      for (int w = words.begin; w < words.end; ++w) {
        ranks[w] = rank;
        rank += population(bits[w]);
      }
    }
    if (range.end == limit(image)) components[image] = rank;
  }
};

// Number of a component by its first vertex; or how many components begin before any vertex.
struct Numbers {
  const std::uint32_t* bits;
  const std::int32_t* ranks;

  SPIT_HD Numbers(const MergeState& state, int image)
      : bits(state.bits + static_cast<std::int64_t>(image) * state.words),
        ranks(state.ranks + static_cast<std::int64_t>(image) * state.words) {}

  SPIT_HD std::int32_t operator()(std::int32_t v) const {
    const std::uint32_t before = (1u << (v & 31)) - 1u;
    return ranks[v >> 5] + population(bits[v >> 5] & before);
  }
};

SPIT_NAMESPACE_END
