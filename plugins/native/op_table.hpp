// The ops on one kind of executor.
#pragma once

#include <tuple>
#include <type_traits>

#include "../kernels/common/pixel_dispatch.hpp"
#include "../kernels/op_kernels.hpp"
#include "execution.hpp"

SPIT_NAMESPACE_BEGIN

// Of an output whose type is an attribute.
inline std::int64_t element_bytes(const SpitFeatures& a) { return a.token_type == SPIT_TOKEN_TYPE_FLOAT32 ? 4 : 2; }

// Images of a batch go one after the other through one image's workspace, which stays in cache.
template <class Arguments>
Arguments one_image(Arguments a, int image) {
  using C = Contract<Arguments>;
  const Arguments& batch = a;
  const auto advance = [&](const Port& port, auto& pointer) {
    const std::int64_t skipped = image * elements_of(batch, port, true);
    if constexpr (std::is_same_v<decltype(pointer), SpitImages&>) {
      pointer.data = static_cast<const char*>(pointer.data) + skipped * (pointer.type == SPIT_UINT8 ? 1 : 4);
    } else if constexpr (std::is_same_v<decltype(pointer), void*&>) {
      pointer = static_cast<char*>(pointer) + skipped * element_bytes(batch);
    } else {
      pointer += skipped;
    }
  };
  C::inputs(a, advance);
  C::outputs(a, advance);
  Extent extent = extent_of(a);
  extent.batch = 1;
  set_extent(a, extent);
  return a;
}

inline const ContrastTable* contrast_table() {
  static ContrastTable table;
  static const bool filled = (fill(table), true);
  return filled ? &table : nullptr;
}

template <class Executor, class Arguments>
void run_phases(Executor& executor, const Arguments& a) {
  if constexpr (Contract<Arguments>::kHasImages) {
    with_pixels(a.images, contrast_table(), [&](const auto& pixels) { run_op(executor, a, pixels); });
  } else {
    run_op(executor, a);
  }
}

template <class Executor, class Arguments>
void run_one(Executor& executor, const Arguments& a) {
  run_phases(executor, a);
}
// Every phase must find the same count, whatever the caller's threads write meanwhile.
template <class Executor>
void run_one(Executor& executor, SpitFeatures a) {
  const std::int32_t count = read_once(a.counts);
  a.counts = &count;
  run_phases(executor, a);
}

// The executor's scratch comes first; what follows it must be aligned as the op expects.
template <class Executor>
std::size_t scratch_bytes(const native::Execution& execution) {
  constexpr std::size_t whole = Workspace::kAlignment;
  return (Executor::scratch_bytes(execution) + whole - 1) / whole * whole;
}

// An Executor is made from an Execution and scratch of scratch_bytes(Execution).
template <class Executor, class Arguments>
std::size_t bytes(const Arguments& arguments, const native::Execution& execution) {
  Arguments one = one_image(arguments, 0);
  one.workspace = nullptr;
  return scratch_bytes<Executor>(execution) + workspace_bytes(one);
}

template <class Executor, class Arguments>
void run(const Arguments& arguments, const native::Execution& execution) {
  Executor executor(execution, arguments.workspace);
  for (int image = 0; image < extent_of(arguments).batch; ++image) {
    Arguments one = one_image(arguments, image);
    one.workspace = static_cast<char*>(arguments.workspace) + scratch_bytes<Executor>(execution);
    run_one(executor, one);
  }
}

template <class Executor, class Arguments>
constexpr native::Op<Arguments> op{bytes<Executor, Arguments>, run<Executor, Arguments>};

template <class Executor>
struct Ops {
  template <class... Arguments>
  static constexpr std::tuple<native::Op<Arguments>...> of(const std::tuple<native::Op<Arguments>...>&) {
    return {op<Executor, Arguments>...};
  }
  static constexpr ForOps<native::Op> all = of(ForOps<native::Op>{});
};

template <class Executor>
constexpr native::OpTable op_table(const char* name) {
  return {name, Ops<Executor>::all};
}

SPIT_NAMESPACE_END
