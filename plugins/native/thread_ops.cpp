// Compiled once for each instruction set: SPIT_VARIANT, SPIT_OPS and SPIT_OPS_NAME name the result.
#include "op_table.hpp"
#include "thread_executor.hpp"

namespace spit::native {

extern const OpTable SPIT_OPS = op_table<ThreadExecutor>(SPIT_OPS_NAME);

}  // namespace spit::native
