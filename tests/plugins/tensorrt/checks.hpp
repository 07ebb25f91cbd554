// Tests and what they expect, in the words that everybody knows, so that a compiler is all they need.
//
//   TEST(Suite, Name) { EXPECT_EQ(a, b) << "said if it fails"; }
//
// EXPECT_ goes on after a failure, ASSERT_ leaves the function. run_tests() says what every test did.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <mutex>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace spit::test {

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test> tests;
inline std::mutex failing;
inline int failures = 0;
inline thread_local std::vector<std::string> traces;

inline bool add_test(const char* name, void (*run)()) {
  tests.push_back({name, run});
  return true;
}

struct Trace {
  explicit Trace(std::string text) { traces.push_back(std::move(text)); }
  ~Trace() { traces.pop_back(); }
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
};

// A failed expectation; takes more words, and is counted and printed when they have all been said.
class Failure {
 public:
  Failure(const char* file, int line, const std::string& what) { text_ << file << ":" << line << ": " << what; }
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  ~Failure() {
    const std::lock_guard<std::mutex> lock(failing);
    ++failures;
    std::printf("%s\n", text_.str().c_str());
    for (const std::string& trace : traces) std::printf("  in %s\n", trace.c_str());
  }
  template <class T>
  Failure& operator<<(const T& more) {
    text_ << " " << more;
    return *this;
  }

 private:
  std::ostringstream text_;
};

struct Leave {
  void operator&(const Failure&) const {}
};

template <class T, class = void>
constexpr bool kPrintable = false;
template <class T>
constexpr bool kPrintable<T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<const T&>())>> = true;

template <class T>
std::string shown(const T& value) {
  std::ostringstream text;
  if constexpr (kPrintable<T>) {
    text << value;
  } else {
    text << "(a value without a text)";
  }
  return text.str();
}

// Nothing if the relation holds, else both values.
template <class Relation, class A, class B>
std::string compared(Relation relation, const A& a, const B& b) {
  if (relation(a, b)) return {};
  return ", but they are " + shown(a) + " and " + shown(b);
}
inline std::string compared(bool found, bool wanted) { return found == wanted ? "" : ", but it is not"; }

// 0 if all hold, else 1.
inline int run_tests() {
  bool good = true;
  for (const Test& test : tests) {
    std::printf("RUN %s\n", test.name);
    failures = 0;
    try {
      test.run();
    } catch (const std::exception& error) {
      ++failures;
      std::printf("ended by %s\n", error.what());
    }
    std::printf("%s %s\n", failures ? "FAILED" : "OK", test.name);
    good = good && !failures;
  }
  return good ? 0 : 1;
}

}  // namespace spit::test

#define TEST(suite, name)                                                                                  \
  static void suite##_##name();                                                                            \
  static const bool suite##_##name##_is_known = ::spit::test::add_test(#suite "." #name, &suite##_##name); \
  static void suite##_##name()

#define SPIT_EXPECT(leave, text, ...)                                                 \
  if (const std::string wrong = ::spit::test::compared(__VA_ARGS__); wrong.empty()) { \
  } else                                                                              \
    leave ::spit::test::Failure(__FILE__, __LINE__, text + wrong)
#define SPIT_NO_LEAVE
#define SPIT_LEAVE return ::spit::test::Leave()&

#define EXPECT_EQ(a, b) SPIT_EXPECT(SPIT_NO_LEAVE, #a " must equal " #b, std::equal_to<>(), a, b)
#define EXPECT_NE(a, b) SPIT_EXPECT(SPIT_NO_LEAVE, #a " must not equal " #b, std::not_equal_to<>(), a, b)
#define EXPECT_GT(a, b) SPIT_EXPECT(SPIT_NO_LEAVE, #a " must be above " #b, std::greater<>(), a, b)
#define EXPECT_GE(a, b) SPIT_EXPECT(SPIT_NO_LEAVE, #a " must be at least " #b, std::greater_equal<>(), a, b)
#define EXPECT_TRUE(a) SPIT_EXPECT(SPIT_NO_LEAVE, #a " must be true", static_cast<bool>(a), true)
#define EXPECT_FALSE(a) SPIT_EXPECT(SPIT_NO_LEAVE, #a " must be false", static_cast<bool>(a), false)
#define ASSERT_EQ(a, b) SPIT_EXPECT(SPIT_LEAVE, #a " must equal " #b, std::equal_to<>(), a, b)
#define ASSERT_NE(a, b) SPIT_EXPECT(SPIT_LEAVE, #a " must not equal " #b, std::not_equal_to<>(), a, b)
#define ADD_FAILURE() ::spit::test::Failure(__FILE__, __LINE__, "")
#define SCOPED_TRACE(text) const ::spit::test::Trace scoped_trace(text)
