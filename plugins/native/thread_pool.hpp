// Threads that wait for work, and a loop over tasks shared out among them.
#pragma once

namespace spit::native {

using Task = void (*)(void* context, int index);

// Calls task(context, index) for every index below count, on the calling thread and on at most
// threads - 1 others, and returns when all are done. Safe to call from several threads at once: their
// loops run one after the other.
void run_tasks(int threads, int count, Task task, void* context);

// Cores this process may use.
int available_threads();

}  // namespace spit::native
