#include "thread_pool.hpp"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "floating_point.hpp"

namespace spit::native {
namespace {

// Phases follow one another within microseconds: a waiting thread looks for work for this long before
// it sleeps.
constexpr auto kSpin = std::chrono::microseconds(50);

constexpr int kMostPieces = 0xFFFF;

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

// What is being shared out, in one word, so that a thread takes a piece of just that or of nothing:
// which run it is, how many pieces it has, and the next one to take.
struct Share {
  std::uint64_t word;

  static Share of(std::uint32_t run, int pieces) {
    return {static_cast<std::uint64_t>(run) << 32 | static_cast<std::uint64_t>(pieces) << 16};
  }
  std::uint32_t run() const { return static_cast<std::uint32_t>(word >> 32); }
  int pieces() const { return static_cast<int>(word >> 16 & kMostPieces); }
  int next() const { return static_cast<int>(word & kMostPieces); }
};

// The caller waits for pieces that are under way, never for threads: on a busy machine it does the work
// of those that do not wake up in time.
class Pool {
 public:
  void run(int threads, int pieces, Task task, void* context) {
    const std::lock_guard one_at_a_time(callers_);
    const std::uint32_t run = Share{share_.load()}.run() + 1;
    {
      const std::lock_guard lock(mutex_);
      while (static_cast<int>(threads_.size()) < (threads < pieces ? threads : pieces) - 1) start();
      task_ = task;
      context_ = context;
      done_.store(0);
      share_.store(Share::of(run, pieces).word);
      if (sleeping_ > 0) wake_.notify_all();
    }
    work(run);
    const auto finished = [&] { return done_.load() == pieces; };
    while (!spin_until(finished)) std::this_thread::yield();
  }

 private:
  void start() {
    threads_.emplace_back([this, seen = Share{share_.load()}.run()]() mutable {
      const DefaultFloatingPoint arithmetic;
      while (true) {
        wait_for_change(seen);
        work(seen);
      }
    });
  }

  void wait_for_change(std::uint32_t& seen) {
    const auto changed = [&] { return Share{share_.load()}.run() != seen; };
    if (!spin_until(changed)) {
      std::unique_lock lock(mutex_);
      ++sleeping_;
      wake_.wait(lock, changed);
      --sleeping_;
    }
    seen = Share{share_.load()}.run();
  }

  // Takes pieces of one run until none is left. Whoever has taken one holds up the end of the run, so
  // the task is still there.
  void work(std::uint32_t run) {
    Share share{share_.load()};
    while (share.run() == run && share.next() < share.pieces()) {
      if (share_.compare_exchange_weak(share.word, share.word + 1)) {
        task_(context_, share.next());
        done_.fetch_add(1);
        share.word = share_.load();
      }
    }
  }

  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> threads_;
  std::atomic<std::uint64_t> share_{0};
  std::atomic<int> done_{0};
  int sleeping_ = 0;
  Task task_ = nullptr;
  void* context_ = nullptr;
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
  if (threads <= 1 || count <= 1 || count > kMostPieces) {
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
