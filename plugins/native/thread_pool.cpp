#include "thread_pool.hpp"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "floating_point.hpp"

namespace spit::native {
namespace {

// Phases follow one another within microseconds: a waiting thread looks for work for this long before
// it sleeps.
constexpr auto kSpin = std::chrono::microseconds(50);

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Ready>
bool spin_until(const Ready& ready) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (ready()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

class Pool {
 public:
  void run(int threads, int count, Task task, void* context) {
    const std::lock_guard one_at_a_time(callers_);
    const int helpers = (threads < count ? threads : count) - 1;
    {
      const std::lock_guard lock(mutex_);
      while (static_cast<int>(threads_.size()) < helpers) start();
      task_ = task;
      context_ = context;
      count_ = count;
      helpers_ = helpers;
      next_.store(0);
      busy_.store(static_cast<int>(threads_.size()));
      generation_.fetch_add(1);
      if (sleeping_ > 0) wake_.notify_all();
    }
    work();
    const auto idle = [this] { return busy_.load() == 0; };
    while (!spin_until(idle)) std::this_thread::yield();
  }

 private:
  void start() {
    const int number = static_cast<int>(threads_.size());
    threads_.emplace_back([this, number, seen = generation_.load()]() mutable {
      const DefaultFloatingPoint arithmetic;
      while (true) {
        wait_for_change(seen);
        if (number < helpers_) work();
        busy_.fetch_sub(1);
      }
    });
  }

  void wait_for_change(unsigned& seen) {
    const auto changed = [&] { return generation_.load() != seen; };
    if (!spin_until(changed)) {
      std::unique_lock lock(mutex_);
      ++sleeping_;
      wake_.wait(lock, changed);
      --sleeping_;
    }
    seen = generation_.load();
  }

  void work() {
    for (int index = next_.fetch_add(1); index < count_; index = next_.fetch_add(1)) task_(context_, index);
  }

  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> threads_;
  std::atomic<unsigned> generation_{0};
  std::atomic<int> next_{0};
  std::atomic<int> busy_{0};
  int sleeping_ = 0;
  Task task_ = nullptr;
  void* context_ = nullptr;
  int count_ = 0;
  int helpers_ = 0;
};

// Never destroyed: its threads sleep until the process ends. A forked child has none of them, so it
// starts a pool of its own.
Pool& pool() {
  static std::mutex mutex;
  static Pool* current = nullptr;
  static pid_t owner = 0;
  const std::lock_guard lock(mutex);
  if (!current || owner != getpid()) {
    current = new Pool;
    owner = getpid();
  }
  return *current;
}

}  // namespace

void run_tasks(int threads, int count, Task task, void* context) {
  if (threads <= 1 || count <= 1) {
    for (int index = 0; index < count; ++index) task(context, index);
    return;
  }
  pool().run(threads, count, task, context);
}

int available_threads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  const int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

}  // namespace spit::native
