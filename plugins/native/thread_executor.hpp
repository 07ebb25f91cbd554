// Runs phases on the threads of a CPU: ranges and blocks are shared out evenly, one to a thread, so
// that most of what a thread touches is its own.
#pragma once

#include "../kernels/common/memory.hpp"
#include "../kernels/merge/vertex_features.hpp"
#include "execution.hpp"
#include "thread_pool.hpp"

SPIT_NAMESPACE_BEGIN

// A tile's rows, one after the other, on one thread.
struct SerialTeam {
  template <class Row>
  SPIT_HD void rows(Block block, Row row) const {
    for (int r = block.row_begin; r < block.row_end; ++r) row(r, block.column_begin, block.column_end);
  }
};

// Tiles small enough that one's scratch stays in a core's second-level cache.
constexpr int kTileRows = 64;
constexpr int kTileColumns = 256;

class ThreadExecutor {
 public:
  // Regions that lie in one block are worth adding up without atomic operations.
  static constexpr bool kLargeBlocks = true;

  ThreadExecutor(const native::Execution& execution, void* scratch)
      : execution_(execution), threads_(execution.threads), scratch_(static_cast<float*>(scratch)) {}

  static std::size_t scratch_bytes(const native::Execution& execution) {
    return static_cast<std::size_t>(execution.threads) * kTileScratchFloats * sizeof(float);
  }

  template <class Phase>
  void ranges(const Phase& phase, int images, int) {
    for (int image = 0; image < images; ++image) {
      const int limit = phase.limit(image);
      const int parts = parts_for(limit);
      share(parts, [&, image, limit, parts](int part) {
        run(parts, phase, image, Range{cut(limit, part, parts), cut(limit, part + 1, parts)});
      });
    }
  }

  template <class Phase>
  void blocks(const Phase& phase, int images, int height, int width) {
    for (int image = 0; image < images; ++image) {
      const int parts = smaller(parts_for(height * width), height);
      share(parts, [&, image, parts](int part) {
        run(parts, phase, image, Block{cut(height, part, parts), cut(height, part + 1, parts), 0, width});
      });
    }
  }

  template <class Phase>
  void tiles(const Phase& phase, int images, int height, int width) {
    const int down = (height + kTileRows - 1) / kTileRows;
    const int across = (width + kTileColumns - 1) / kTileColumns;
    const int tiles = images * down * across;
    const int parts = smaller(threads_, tiles);
    share(parts, [&](int part) {
      const int first = cut(tiles, part, parts), last = cut(tiles, part + 1, parts);
      for (int tile = first; tile < last; ++tile) {
        const int row = tile / across % down, column = tile % across;
        const Block block{cut(height, row, down), cut(height, row + 1, down), cut(width, column, across),
                          cut(width, column + 1, across)};
        run_tile(phase, tile / (across * down), block, scratch_ + static_cast<std::int64_t>(part) * kTileScratchFloats);
      }
    });
  }

 private:
  static constexpr int kTileScratchFloats = TileScratch::floats(kTileRows, kTileColumns);

  // Below this many items a phase takes less time than waking a thread.
  static constexpr int kSmallestPart = 1024;

  int parts_for(int items) const { return clip(items / kSmallestPart, 1, threads_); }

  static int cut(int items, int part, int parts) {
    return static_cast<int>(static_cast<std::int64_t>(items) * part / parts);
  }

  template <class Phase, class Part>
  static void run(int parts, const Phase& phase, int image, Part part) {
    if (parts == 1) {
      phase.template run<Plain>(image, part);
    } else {
      phase.template run<Atomic>(image, part);
    }
  }

  template <class Phase>
  static void run_tile(const Phase& phase, int image, Block block, float* scratch) {
    SerialTeam team;
    const int stride = block.column_end - block.column_begin + 2 * TileScratch::kHalo;
    const int rows = block.row_end - block.row_begin + 2 * TileScratch::kHalo;
    phase.run(team, image, block,
              TileScratch{scratch, stride, stride * rows, block.row_begin - TileScratch::kHalo,
                          block.column_begin - TileScratch::kHalo});
  }

  template <class Body>
  void share(int parts, const Body& body) {
    execution_.may_be_interrupted();
    native::run_tasks(
        threads_, parts, [](void* context, int part) { (*static_cast<const Body*>(context))(part); },
        const_cast<Body*>(&body));
  }

  const native::Execution& execution_;
  int threads_;
  float* scratch_;
};

SPIT_NAMESPACE_END
