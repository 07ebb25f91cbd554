#pragma once

#include <nanobind/nanobind.h>

namespace spit::native {

// Instruction set in use, cores, and the constants of the kernels by the names they have in spit_ref.
nanobind::dict info();

}  // namespace spit::native
