// The shape of the tables in contracts.hpp, and what follows from them for every op alike.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "target.hpp"

SPIT_NAMESPACE_BEGIN

enum class FieldKind { kWhole, kReal, kChoice };

// An attribute and its range, inclusive. The value of a choice is its index among choices.
struct Field {
  const char* name;
  FieldKind kind;
  bool required;
  double fallback;  // where the attribute is not required
  double low;
  double high;
  const char* is;   // what a value must be, in words: "an integer"
  const char* fit;  // what it must do: "lie in [0, 16]"
  const char* const* choices;
};

enum class Type { kFloat32, kInt32, kInt64 };

// Dimensions that are not numbers: sizes of the inputs, and attributes: kField - index.
enum Dimension : int { kBatch = -1, kHeight = -2, kWidth = -3, kTokenSize = -4, kField = -16 };

struct Port {
  const char* name;
  Type type;
  int typed_by;  // index of the attribute that makes its type another one, or -1
  int rank;
  int dims[4];
  const char* fit;  // what its sizes must do, in words
};

// Of the structure of an op's arguments: the tables, and functions over the members behind them.
template <class Arguments>
struct Contract;

// The argument that is wrong, its value, and what it must do; null argument: nothing is wrong.
struct Fault {
  const char* argument = nullptr;
  double value = 0.0;
  const char* must = nullptr;

  explicit operator bool() const { return argument != nullptr; }
};

struct Extent {
  std::int64_t batch;
  std::int64_t height;
  std::int64_t width;
};

template <class Arguments>
Extent extent_of(const Arguments& a) {
  using C = Contract<Arguments>;
  return {C::size(a, kBatch), C::size(a, kHeight), C::size(a, kWidth)};
}

// The extent has been checked: it fits in 32 bits.
template <class Arguments>
void set_extent(Arguments& a, const Extent& extent) {
  const auto set = [&](auto& to) {
    to.batch = static_cast<std::int32_t>(extent.batch);
    to.height = static_cast<std::int32_t>(extent.height);
    to.width = static_cast<std::int32_t>(extent.width);
  };
  if constexpr (Contract<Arguments>::kHasImages) {
    set(a.images);
  } else {
    set(a);
  }
}

// Elements of an input or output, of the whole batch or of one image.
template <class Arguments>
std::int64_t elements_of(const Arguments& a, const Port& port, bool one_image = false) {
  std::int64_t count = 1;
  for (int i = one_image ? 1 : 0; i < port.rank; ++i) count *= Contract<Arguments>::size(a, port.dims[i]);
  return count;
}

SPIT_NAMESPACE_END
