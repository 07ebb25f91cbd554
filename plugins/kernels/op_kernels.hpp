// The kernels of all ops.
// Written by plugins/generate.py from spit_edge/base/contracts.py.
// clang-format off
#pragma once

#include "merge/superpixel_merge.hpp"
#include "features/region_features.hpp"
#include "voronoi/voronoi_tessellation.hpp"
