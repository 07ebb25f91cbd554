// Layout of caller-given workspace. An op takes its arrays from one block of bytes; with no block the
// same code measures it, so that size and layout cannot disagree.
#pragma once

#include <cstddef>

#include "target.hpp"

SPIT_NAMESPACE_BEGIN

class Workspace {
 public:
  static constexpr std::size_t kAlignment = 256;

  // base may be null: then only bytes() is of use. Otherwise aligned to kAlignment.
  explicit Workspace(void* base) : base_(static_cast<char*>(base)) {}

  template <class T>
  T* take(std::int64_t count) {
    T* at = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  }

  std::size_t bytes() const { return used_; }

 private:
  char* base_;
  std::size_t used_ = 0;
};

SPIT_NAMESPACE_END
