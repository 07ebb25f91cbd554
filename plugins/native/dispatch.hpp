// The ops as the Python module calls them: arguments checked, executor and instruction set chosen.
#pragma once

#include "../kernels/validation.hpp"
#include "execution.hpp"

namespace spit::native {

// Instruction set that ExecutorKind::kThreads runs on here.
const char* variant();

// Each fills the outputs in its arguments from a workspace it keeps for the calling thread, so that a
// second call of the same size allocates nothing; argument workspace is ignored. Returns what is wrong
// with the arguments, if anything: then nothing is written.
Fault superpixel_merge(MergeArguments arguments, const Execution& execution);
Fault region_features(FeatureArguments arguments, const Execution& execution);
Fault voronoi_tessellation(VoronoiArguments arguments, const Execution& execution);

}  // namespace spit::native
