// Lines for TensorRT's logger.
#pragma once

#include <string>

namespace spit::tensorrt {

// One line, "SuperpixelMerge: ...", at TensorRT's level for errors. Says nothing before TensorRT has
// given a logger. Never throws.
void log_error(const char* op, const char* what) noexcept;
inline void log_error(const char* op, const std::string& what) noexcept { log_error(op, what.c_str()); }

}  // namespace spit::tensorrt
