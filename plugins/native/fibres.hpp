// Many short functions on one thread, each of which can be left and taken up again in the middle.
#pragma once

#include <cstdint>

#include "execution.hpp"

namespace spit::native {

// A small random generator (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  int below(int n) { return static_cast<int>(next() % static_cast<std::uint64_t>(n)); }

 private:
  std::uint64_t state_;
};

using FibreTask = void (*)(void* context, int index);

// Calls task(context, index) for every index below count, in random order, several at a time: at every
// yield_fibre() another one, chosen at random, goes on. Where execution is interrupted, fibres under way
// are dropped as they are.
void run_fibres(const Execution& execution, SplitMix& random, int count, FibreTask task, void* context);

// To be called by a task of run_fibres.
void yield_fibre();

}  // namespace spit::native
