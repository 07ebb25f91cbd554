// How a phase touches memory that other work items of the same phase touch too. Every executor
// brings one such type; a phase is a template over it. All operations are relaxed: a phase may depend
// on their order no more than on the order of its items.
#pragma once

#include "target.hpp"

SPIT_NAMESPACE_BEGIN

// A value of the caller's, which may be written meanwhile: what is checked is what is used.
template <class T>
SPIT_HD T read_once(const T* at) {
#if defined(__CUDACC__)
  return *at;
#else
  return __atomic_load_n(at, __ATOMIC_RELAXED);
#endif
}

// One thread at a time.
struct Plain {
  static constexpr bool kAddsAreFree = true;

  template <class T>
  static SPIT_HD T load(const T* at) {
    return *at;
  }
  template <class T>
  static SPIT_HD void store(T* at, T value) {
    *at = value;
  }
  template <class T>
  static SPIT_HD void add(T* at, T value) {
    *at += value;
  }
  template <class T>
  static SPIT_HD void max(T* at, T value) {
    *at = larger(*at, value);
  }
  template <class T>
  static SPIT_HD void min(T* at, T value) {
    *at = smaller(*at, value);
  }
  static SPIT_HD void set_bits(std::uint32_t* at, std::uint32_t value) { *at |= value; }
  // The value found; it was replaced if it was the expected one.
  static SPIT_HD std::int32_t compare_swap(std::int32_t* at, std::int32_t expected, std::int32_t desired) {
    const std::int32_t found = *at;
    if (found == expected) *at = desired;
    return found;
  }
};

#if !defined(__CUDACC__)
// Threads of a CPU.
struct Atomic {
  static constexpr bool kAddsAreFree = false;

  template <class T>
  static SPIT_HD T load(const T* at) {
    return __atomic_load_n(at, __ATOMIC_RELAXED);
  }
  template <class T>
  static SPIT_HD void store(T* at, T value) {
    __atomic_store_n(at, value, __ATOMIC_RELAXED);
  }
  template <class T>
  static SPIT_HD void add(T* at, T value) {
    __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
  }
  template <class T>
  static SPIT_HD void max(T* at, T value) {
    T found = load(at);
    while (found < value && !swap(at, found, value)) {
    }
  }
  template <class T>
  static SPIT_HD void min(T* at, T value) {
    T found = load(at);
    while (value < found && !swap(at, found, value)) {
    }
  }
  static SPIT_HD void set_bits(std::uint32_t* at, std::uint32_t value) {
    __atomic_fetch_or(at, value, __ATOMIC_RELAXED);
  }
  static SPIT_HD std::int32_t compare_swap(std::int32_t* at, std::int32_t expected, std::int32_t desired) {
    __atomic_compare_exchange_n(at, &expected, desired, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
  }

 private:
  template <class T>
  static SPIT_HD bool swap(T* at, T& expected, T desired) {
    return __atomic_compare_exchange_n(at, &expected, desired, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
};
#endif

SPIT_NAMESPACE_END
