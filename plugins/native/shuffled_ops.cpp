#include "op_table.hpp"
#include "shuffled_executor.hpp"

namespace spit::native {

extern const OpTable kShuffledOps = op_table<ShuffledExecutor>("shuffled");

}  // namespace spit::native
