// A plugin library that prints what its creators are given, and hands it on to the real library, which
// the environment variable SPIT_RECORDED names. For parsers that cannot be asked.
#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>

namespace {

using nvinfer1::PluginFieldType;

void print(const nvinfer1::PluginField& field) {
  std::printf("FIELD %s ", field.name);
  if (field.type == PluginFieldType::kCHAR) {
    std::printf("char %.*s\n", static_cast<int>(field.length), static_cast<const char*>(field.data));
  } else if (field.type == PluginFieldType::kINT32) {
    std::printf("int32 %d %d\n", field.length, *static_cast<const std::int32_t*>(field.data));
  } else if (field.type == PluginFieldType::kFLOAT32) {
    std::printf("float32 %d %.9g\n", field.length, static_cast<double>(*static_cast<const float*>(field.data)));
  } else {
    std::printf("type %d\n", static_cast<int>(field.type));
  }
}

class Recorder final : public nvinfer1::IPluginCreatorV3One {
 public:
  explicit Recorder(nvinfer1::IPluginCreatorV3One& real) : real_(real) {}

  nvinfer1::IPluginV3* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override {
    std::printf("CREATE %s %s\n", real_.getPluginName(),
                phase == nvinfer1::TensorRTPhase::kBUILD ? "build" : "runtime");
    for (int i = 0; i < fields->nbFields; ++i) print(fields->fields[i]);
    nvinfer1::IPluginV3* made = real_.createPlugin(name, fields, phase);
    std::printf("%s\n", made ? "MADE" : "REFUSED");
    std::fflush(stdout);
    return made;
  }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return real_.getFieldNames(); }
  const char* getPluginName() const noexcept override { return real_.getPluginName(); }
  const char* getPluginVersion() const noexcept override { return real_.getPluginVersion(); }
  const char* getPluginNamespace() const noexcept override { return real_.getPluginNamespace(); }

 private:
  nvinfer1::IPluginCreatorV3One& real_;
};

}  // namespace

extern "C" void setLoggerFinder(nvinfer1::ILoggerFinder*) {}

extern "C" nvinfer1::IPluginCreatorInterface* const* getCreators(std::int32_t& count) {
  static std::deque<Recorder> recorders;
  static std::vector<nvinfer1::IPluginCreatorInterface*> creators;
  count = 0;
  const char* path = std::getenv("SPIT_RECORDED");
  void* library = path ? dlopen(path, RTLD_NOW) : nullptr;
  using GetCreators = nvinfer1::IPluginCreatorInterface* const* (*)(std::int32_t&);
  auto* get = library ? reinterpret_cast<GetCreators>(dlsym(library, "getCreators")) : nullptr;
  if (!get) return nullptr;
  auto* const* real = get(count);
  for (int i = 0; i < count; ++i) {
    recorders.emplace_back(*static_cast<nvinfer1::IPluginCreatorV3One*>(real[i]));
    creators.push_back(&recorders.back());
  }
  return creators.data();
}
