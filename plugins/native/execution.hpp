// How an op shall be run, and the ops in a form that does not depend on what they were compiled for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernels/contracts.hpp"

namespace spit::native {

enum class ExecutorKind { kThreads, kShuffled };

struct Execution {
  ExecutorKind executor;
  int threads;         // of ExecutorKind::kThreads
  std::uint64_t seed;  // of ExecutorKind::kShuffled
  // Called on the calling thread between phases, outside of locks; what it throws ends the work.
  void (*interruption_point)() = nullptr;

  void may_be_interrupted() const {
    if (interruption_point) interruption_point();
  }
};

// One op: bytes of workspace it needs, and the work. Arguments are valid.
template <class Arguments>
struct Op {
  std::size_t (*bytes)(const Arguments&, const Execution&);
  void (*run)(const Arguments&, const Execution&);
};

struct OpTable {
  const char* name;
  ForOps<Op> ops;

  template <class Arguments>
  const Op<Arguments>& of() const {
    return std::get<Op<Arguments>>(ops);
  }
};

extern const OpTable kPortableOps;
extern const OpTable kAvx2Ops;
extern const OpTable kAvx512Ops;
extern const OpTable kShuffledOps;

}  // namespace spit::native
