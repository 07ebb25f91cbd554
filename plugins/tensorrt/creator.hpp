// Makes the plugins of one op, from the fields of a parsed graph or of an engine.
#pragma once

#include "plugin.hpp"

namespace spit::tensorrt {

template <class Op>
class Creator final : public nvinfer1::IPluginCreatorV3One {
 public:
  nvinfer1::IPluginV3* createPlugin(const char*, const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase) noexcept override {
    try {
      Values values;
      const std::string fault = read_values(Op::kContract, fields, values);
      if (fault.empty()) return new Plugin<Op>(values);
      log_error(Op::kContract.name, fault);
    } catch (const std::bad_alloc&) {
      log_error(Op::kContract.name, "out of memory");
    }
    return nullptr;
  }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return fields_.collection(); }
  const char* getPluginName() const noexcept override { return Op::kContract.name; }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }

 private:
  const Fields fields_{Op::kContract};
};

}  // namespace spit::tensorrt
