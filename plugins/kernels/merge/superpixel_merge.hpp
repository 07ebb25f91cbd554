// The op superpixel_merge as a sequence of phases; what runs them is the executor's business.
#pragma once

#include "../common/workspace.hpp"
#include "../contracts.hpp"
#include "choice.hpp"
#include "contraction.hpp"
#include "similar_neighbours.hpp"

SPIT_NAMESPACE_BEGIN

struct MergeLayout {
  MergeState state;
  std::int32_t* counts[2];  // [B] vertices of the level before and of the one in the making
  std::size_t bytes;
};

// Per pixel 20 bytes of features, 4 + 4 of trees, 1/4 of bits and ranks; per vertex, of which there
// are half as many as pixels, 32 + 16 + 4 + 56: together 82.3 bytes a pixel.
inline MergeLayout lay_out_merge(const SpitMerge& a) {
  Workspace workspace(a.workspace);
  MergeLayout layout{};
  MergeState& s = layout.state;
  s.height = a.images.height;
  s.width = a.images.width;
  s.pixels = s.height * s.width;
  s.vertices_cap = (s.pixels + 1) / 2;
  s.words = (s.pixels + 31) / 32;
  s.chunks = (s.words + kChunkWords - 1) / kChunkWords;
  const std::int64_t batch = a.images.batch;
  s.labels = a.labels;
  s.features = workspace.take<float>(batch * s.pixels * kFeaturePlanes);
  s.parent = workspace.take<std::int32_t>(batch * s.pixels);
  s.first = workspace.take<std::int32_t>(batch * s.pixels);
  s.bits = workspace.take<std::uint32_t>(batch * s.words);
  s.ranks = workspace.take<std::int32_t>(batch * s.words);
  s.chunk_sums = workspace.take<std::int32_t>(batch * s.chunks);
  s.vertices = workspace.take<Vertex>(batch * s.vertices_cap);
  s.boxes = workspace.take<Box>(batch * s.vertices_cap);
  s.number = workspace.take<std::int32_t>(batch * s.vertices_cap);
  s.sums = workspace.take<Sums>(batch * s.vertices_cap);
  s.square_sum = workspace.take<std::int64_t>(batch);
  for (auto& counts : layout.counts) counts = workspace.take<std::int32_t>(batch);
  layout.bytes = workspace.bytes();
  return layout;
}

struct PixelsAsLabels {
  MergeState state;
  std::int32_t* counts;

  SPIT_HD int limit(int) const { return state.pixels; }

  template <class Memory>
  SPIT_HD void run(int image, Range range) const {
    std::int32_t* labels = state.of_pixels(state.labels, image);
    for (int p = range.begin; p < range.end; ++p) labels[p] = p;
    if (range.begin == 0) counts[image] = state.pixels;
  }
};

template <class Executor, bool kCompact>
class Merge {
 public:
  Merge(Executor& executor, const SpitMerge& arguments)
      : executor_(executor), a_(arguments), layout_(lay_out_merge(arguments)), s_(layout_.state) {
    const float weight = static_cast<float>(a_.compactness);
    blend_ = Blend{weight, 1.0f - weight, kCompact};
    level_ = Level{s_, Count{nullptr, s_.pixels}, true};
  }

  template <class Pixels>
  void run(const Pixels& pixels) {
    const bool threshold = a_.final_threshold > 0.0;
    if (a_.levels == 0 && !threshold) return ranges(PixelsAsLabels{s_, a_.counts}, s_.pixels);
    executor_.tiles(VertexFeatures<Pixels>{pixels, s_.height, s_.width, s_.features}, a_.images.batch, s_.height,
                    s_.width);
    for (int level = 0; level < a_.levels; ++level) {
      choose();
      contract(level + 1 == a_.levels && !threshold);
    }
    if (threshold) {
      join_similar();
      contract(true);
    }
  }

 private:
  void choose() {
    if (level_.pixel_level) {
      blocks(ChoosePixelNeighbour<kCompact>{s_, blend_});
    } else {
      blocks(ScoreEdges<kCompact>{s_, blend_});
      ranges(ChooseVertexNeighbour<kCompact>{level_, blend_}, bound());
    }
    ranges(ChoicesToParents{level_}, bound());
  }

  void join_similar() {
    const float limit = static_cast<float>(a_.final_threshold);
    ranges(IsolateVertices{level_}, bound());
    if (level_.pixel_level) {
      blocks(JoinSimilar<true>{s_, limit});
    } else {
      blocks(JoinSimilar<false>{s_, limit});
    }
  }

  void contract(bool last) {
    std::int32_t* components = last ? a_.counts : layout_.counts[parity_ ^= 1];
    const int chunks = (bound() + 32 * kChunkWords - 1) / (32 * kChunkWords);
    ranges(FindRoots{level_}, bound());
    ranges(MarkFirsts{level_}, bound());
    ranges(SumChunks{{level_}}, chunks);
    ranges(RankWords{{level_}, components}, chunks);
    if (last) {
      ranges(NumberVertices{level_}, bound());
      if (!level_.pixel_level) ranges(FinishLevel<true, false, false>{s_, components}, s_.pixels);
    } else if (level_.pixel_level) {
      ranges(SumOwned<true, kCompact>{level_}, bound());
      ranges(SumForeign<true, kCompact>{level_}, bound());
      ranges(FinishLevel<false, true, kCompact>{s_, components}, s_.vertices_cap);
    } else {
      ranges(SumOwned<false, kCompact>{level_}, bound());
      ranges(SumForeign<false, kCompact>{level_}, bound());
      ranges(FinishLevel<true, true, kCompact>{s_, components}, s_.pixels);
    }
    level_ = Level{s_, Count{components, 0}, false};
  }

  // Most vertices an image can have at this level.
  int bound() const { return level_.pixel_level ? s_.pixels : s_.vertices_cap; }

  template <class Phase>
  void ranges(const Phase& phase, int most) {
    executor_.ranges(phase, a_.images.batch, most);
  }
  template <class Phase>
  void blocks(const Phase& phase) {
    executor_.blocks(phase, a_.images.batch, s_.height, s_.width);
  }

  Executor& executor_;
  SpitMerge a_;
  MergeLayout layout_;
  MergeState s_;
  Level level_;
  Blend blend_;
  int parity_ = 0;
};

inline std::size_t workspace_bytes(const SpitMerge& a) { return lay_out_merge(a).bytes; }

template <class Executor, class Pixels>
void run_op(Executor& executor, const SpitMerge& arguments, const Pixels& pixels) {
  if (arguments.compactness > 0.0) {
    Merge<Executor, true>(executor, arguments).run(pixels);
  } else {
    Merge<Executor, false>(executor, arguments).run(pixels);
  }
}

SPIT_NAMESPACE_END
