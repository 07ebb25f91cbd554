// The entry points of the plugin library: getCreators and setLoggerFinder, which TensorRT looks up.
#include <NvInferRuntime.h>

#include <atomic>
#include <cstdio>

#include "creator.hpp"
#include "ops.hpp"

namespace spit::tensorrt {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> logger_finder{nullptr};

}  // namespace

void log_error(const char* op, const char* what) noexcept {
  nvinfer1::ILoggerFinder* finder = logger_finder.load();
  nvinfer1::ILogger* logger = finder ? finder->findLogger() : nullptr;
  if (!logger) return;
  char line[512];
  std::snprintf(line, sizeof line, "%s: %s", op, what);
  logger->log(nvinfer1::ILogger::Severity::kERROR, line);
}

void log_fault(const char* op, const Fault& fault) noexcept {
  char text[256];
  std::snprintf(text, sizeof text, "%s must be %s, not %.10g", fault.argument, fault.expected, fault.value);
  log_error(op, text);
}

}  // namespace spit::tensorrt

#define SPIT_EXPORT extern "C" __attribute__((visibility("default")))

SPIT_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) { spit::tensorrt::logger_finder = finder; }

SPIT_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(std::int32_t& count) {
  using namespace spit::tensorrt;
  static Creator<SuperpixelMergeOp> superpixel_merge;
  static Creator<RegionFeaturesOp> region_features;
  static Creator<VoronoiTessellationOp> voronoi_tessellation;
  static nvinfer1::IPluginCreatorInterface* const creators[] = {&superpixel_merge, &region_features,
                                                                &voronoi_tessellation};
  count = 3;
  return creators;
}
