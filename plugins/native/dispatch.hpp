// The ops as the Python module calls them: arguments checked, executor and instruction set chosen.
#pragma once

#include "../kernels/common/validation.hpp"
#include "execution.hpp"

namespace spit::native {

// Instruction set that ExecutorKind::kThreads runs on here.
const char* variant();

// One overload for each op. Fills the outputs in its arguments from a workspace it keeps for the
// calling thread, so that a second call of the same size allocates nothing; argument workspace is
// ignored. Returns what is wrong with the arguments, if anything: then nothing is written.
#define SPIT_DECLARE(Arguments, name) Fault run(Arguments arguments, const Execution& execution);
SPIT_EACH_OP(SPIT_DECLARE)
#undef SPIT_DECLARE

}  // namespace spit::native
