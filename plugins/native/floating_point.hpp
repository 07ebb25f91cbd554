// The kernels rely on IEEE arithmetic as a process starts with it: round to nearest, subnormal numbers
// kept. A host program may have asked for something else (torch.set_flush_denormal does).
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace spit::native {

class DefaultFloatingPoint {
 public:
  DefaultFloatingPoint() : before_(get()) { set(kDefault); }
  ~DefaultFloatingPoint() { set(before_); }
  DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;
  DefaultFloatingPoint& operator=(const DefaultFloatingPoint&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr std::uint64_t kDefault = 0x1F80;  // all exceptions masked
  static std::uint64_t get() { return _mm_getcsr(); }
  static void set(std::uint64_t state) { _mm_setcsr(static_cast<unsigned>(state)); }
#elif defined(__aarch64__)
  static constexpr std::uint64_t kDefault = 0;
  static std::uint64_t get() {
    std::uint64_t state;
    asm volatile("mrs %0, fpcr" : "=r"(state));
    return state;
  }
  static void set(std::uint64_t state) { asm volatile("msr fpcr, %0" ::"r"(state)); }
#else
#error "say here how this processor is told to keep subnormal numbers"
#endif
  std::uint64_t before_;
};

}  // namespace spit::native
