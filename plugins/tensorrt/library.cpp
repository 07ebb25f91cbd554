// The entry points of the plugin library: getCreators and setLoggerFinder, which TensorRT looks up.
#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdio>

#include "creator.hpp"

namespace spit::tensorrt {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> logger_finder{nullptr};

// The library that an object of TensorRT comes from, to which this one is not linked: TensorRT and
// TensorRT-RTX are to load the same file.
class Maker {
 public:
  explicit Maker(const void* object) {
    Dl_info found;
    const void* const functions = *static_cast<const void* const*>(object);
    if (dladdr(functions, &found) && found.dli_fname) library_ = dlopen(found.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  }
  ~Maker() {
    if (library_) dlclose(library_);
  }
  Maker(const Maker&) = delete;
  Maker& operator=(const Maker&) = delete;

  template <class Result>
  Result call(const char* name, Result otherwise) const {
    void* function = library_ ? dlsym(library_, name) : nullptr;
    return function ? reinterpret_cast<Result (*)() noexcept>(function)() : otherwise;
  }

 private:
  void* library_ = nullptr;
};

// While an engine runs, its logger; while a graph is parsed there is none, but the library has one.
// Null if its class has another layout than the headers here say, as that of another major version.
nvinfer1::ILogger* current_logger() noexcept {
  nvinfer1::ILoggerFinder* finder = logger_finder.load();
  if (!finder) return nullptr;
  const Maker maker(finder);
  constexpr std::int32_t per_major = 10000;
  if (maker.call("getInferLibVersion", std::int32_t{NV_TENSORRT_VERSION}) / per_major != NV_TENSORRT_MAJOR)
    return nullptr;
  nvinfer1::ILogger* logger = finder->findLogger();
  return logger ? logger : maker.call<nvinfer1::ILogger*>("getLogger", nullptr);
}

}  // namespace

void log_error(const char* op, const char* what) noexcept {
  nvinfer1::ILogger* logger = current_logger();
  if (!logger) return;
  char line[512];
  std::snprintf(line, sizeof line, "%s: %s", op, what);
  logger->log(nvinfer1::ILogger::Severity::kERROR, line);
}

void log_fault(const char* op, const Fault& fault) noexcept {
  try {
    log_error(op, text_of(fault).c_str());
  } catch (const std::bad_alloc&) {
    log_error(op, fault.argument);
  }
}

}  // namespace spit::tensorrt

#define SPIT_EXPORT extern "C" __attribute__((visibility("default")))

SPIT_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) { spit::tensorrt::logger_finder = finder; }

SPIT_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(std::int32_t& count) {
  using namespace spit::tensorrt;
#define SPIT_CREATOR(Arguments, name) static Creator<Arguments> name;
  SPIT_EACH_OP(SPIT_CREATOR)
#define SPIT_ADDRESS(Arguments, name) &name,
  static nvinfer1::IPluginCreatorInterface* const creators[] = {SPIT_EACH_OP(SPIT_ADDRESS)};
  count = static_cast<std::int32_t>(std::size(creators));
  return creators;
}
