#include "fibres.hpp"

#include <ucontext.h>

#include <memory>
#include <utility>
#include <vector>

namespace spit::native {
namespace {

constexpr int kLive = 16;  // fibres under way at the same time
constexpr std::size_t kStackBytes = 256 * 1024;
constexpr std::uint32_t kTurns = 1024;  // between two chances to be interrupted

class Scheduler {
 public:
  Scheduler(const Execution& execution, SplitMix& random, int count, FibreTask task, void* context)
      : execution_(execution),
        random_(random),
        task_(task),
        context_(context),
        order_(static_cast<std::size_t>(count)) {
    for (int i = 0; i < count; ++i) order_[i] = i;
    for (int i = count - 1; i > 0; --i) std::swap(order_[i], order_[random_.below(i + 1)]);
    active = this;
  }
  // An interruption may have called an op of its own, whose scheduler came in between.
  ~Scheduler() { active = outer_; }
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void run() {
    std::vector<Fibre*> live;
    for (Fibre& fibre : fibres_) {
      if (start(fibre)) live.push_back(&fibre);
    }
    for (std::uint32_t turn = 0; !live.empty(); ++turn) {
      if (turn % kTurns == 0) execution_.may_be_interrupted();
      Fibre*& chosen = live[static_cast<std::size_t>(random_.below(static_cast<int>(live.size())))];
      current_ = chosen;
      swapcontext(&main_, &chosen->context);
      if (chosen->done && !start(*chosen)) {
        std::swap(chosen, live.back());
        live.pop_back();
      }
    }
  }

  void yield() { swapcontext(&current_->context, &main_); }

  static thread_local Scheduler* active;

 private:
  struct Fibre {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    int index;
    bool done;
  };

  // Gives a fibre the next task, if there is one.
  bool start(Fibre& fibre) {
    if (next_ == order_.size()) return false;
    if (!fibre.stack) fibre.stack = std::make_unique<char[]>(kStackBytes);
    fibre.index = order_[next_++];
    fibre.done = false;
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = fibre.stack.get();
    fibre.context.uc_stack.ss_size = kStackBytes;
    fibre.context.uc_link = &main_;
    makecontext(&fibre.context, &Scheduler::enter, 0);
    return true;
  }

  static void enter() {
    Fibre& fibre = *active->current_;
    active->task_(active->context_, fibre.index);
    fibre.done = true;
  }

  Scheduler* const outer_ = active;
  const Execution& execution_;
  SplitMix& random_;
  FibreTask task_;
  void* context_;
  std::vector<int> order_;
  std::size_t next_ = 0;
  Fibre fibres_[kLive];
  Fibre* current_ = nullptr;
  ucontext_t main_;
};

thread_local Scheduler* Scheduler::active = nullptr;

}  // namespace

void run_fibres(const Execution& execution, SplitMix& random, int count, FibreTask task, void* context) {
  std::make_unique<Scheduler>(execution, random, count, task, context)->run();
}

void yield_fibre() { Scheduler::active->yield(); }

}  // namespace spit::native
