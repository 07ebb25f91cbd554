#include "dispatch.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "floating_point.hpp"

namespace spit::native {
namespace {

constexpr std::size_t kAlignment = 256;

struct Free {
  void operator()(void* p) const { std::free(p); }
};

class Buffer {
 public:
  void* of(std::size_t bytes) {
    if (bytes > bytes_) {
      data_.reset();
      bytes_ = 0;
      const std::size_t whole = (bytes + kAlignment - 1) / kAlignment * kAlignment;
      data_.reset(std::aligned_alloc(kAlignment, whole));
      if (!data_) throw std::bad_alloc();
      bytes_ = whole;
    }
    return data_.get();
  }

 private:
  std::unique_ptr<void, Free> data_;
  std::size_t bytes_ = 0;
};

thread_local Buffer workspace;

const OpTable& best_ops() {
#if defined(__x86_64__)
  // SPIT_SIMD=avx2 or portable asks for less than the processor has, to compare variants.
  const char* limit = std::getenv("SPIT_SIMD");
  const bool portable = limit && std::strcmp(limit, "portable") == 0;
  const bool avx2 = limit && std::strcmp(limit, "avx2") == 0;
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
  if (has_avx2 && has_avx512 && !portable && !avx2) return kAvx512Ops;
  if (has_avx2 && !portable) return kAvx2Ops;
#endif
  return kPortableOps;
}

const OpTable& ops_for(const Execution& execution) {
  static const OpTable& best = best_ops();
  return execution.executor == ExecutorKind::kShuffled ? kShuffledOps : best;
}

template <class Arguments>
Fault checked_run(Arguments& arguments, const Execution& execution) {
  if (const Fault fault = check(arguments)) return fault;
  const Op<Arguments>& op = ops_for(execution).of<Arguments>();
  const DefaultFloatingPoint arithmetic;
  // While the op runs the workspace is its own: an interruption may call another op on this thread.
  Buffer own = std::exchange(workspace, Buffer{});
  arguments.workspace = nullptr;
  arguments.workspace = own.of(op.bytes(arguments, execution));
  op.run(arguments, execution);
  workspace = std::move(own);
  return {};
}

}  // namespace

const char* variant() { return best_ops().name; }

#define SPIT_DEFINE(Arguments, name) \
  Fault run(Arguments arguments, const Execution& execution) { return checked_run(arguments, execution); }
SPIT_EACH_OP(SPIT_DEFINE)
#undef SPIT_DEFINE

}  // namespace spit::native
