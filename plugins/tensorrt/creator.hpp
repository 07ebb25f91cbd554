// Makes the plugins of one op, from the fields of a parsed graph or of an engine.
#pragma once

#include "plugin.hpp"

namespace spit::tensorrt {

template <class Arguments>
class Creator final : public nvinfer1::IPluginCreatorV3One {
 public:
  nvinfer1::IPluginV3* createPlugin(const char*, const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase) noexcept override {
    try {
      Values values;
      const std::string fault = read_values(kTable<Arguments>, fields, values);
      if (fault.empty()) return new Plugin<Arguments>(values);
      log_error(Contract<Arguments>::kName, fault);
    } catch (const std::bad_alloc&) {
      log_error(Contract<Arguments>::kName, "out of memory");
    }
    return nullptr;
  }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return fields_.collection(); }
  const char* getPluginName() const noexcept override { return Contract<Arguments>::kName; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }

 private:
  const Fields fields_{kTable<Arguments>};
};

}  // namespace spit::tensorrt
