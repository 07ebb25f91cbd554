// An op as a TensorRT plugin: names, types, shapes and workspace of its contract, and one call.
//
// A plugin holds nothing but its fields' values: contexts share nothing that changes, and enqueue
// only launches kernels, so that it may be captured in a CUDA graph.
#pragma once

#include <NvInferRuntime.h>

#include <array>
#include <memory>
#include <new>

#include "../kernels/executors/launch.hpp"
#include "logging.hpp"
#include "ports.hpp"

namespace spit::tensorrt {

constexpr const char* kPluginVersion = "1";
constexpr const char* kPluginNamespace = "";
constexpr std::int32_t kFailed = -1;

void log_fault(const char* op, const Fault& fault) noexcept;

template <class Arguments>
class Plugin final : public nvinfer1::IPluginV3,
                     public nvinfer1::IPluginV3OneCore,
                     public nvinfer1::IPluginV3OneBuild,
                     public nvinfer1::IPluginV3OneRuntime {
 public:
  explicit Plugin(const Values& values) : values_(values) {}

  nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override {
    switch (type) {
      case nvinfer1::PluginCapabilityType::kCORE: return static_cast<nvinfer1::IPluginV3OneCore*>(this);
      case nvinfer1::PluginCapabilityType::kBUILD: return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
      case nvinfer1::PluginCapabilityType::kRUNTIME: return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    return nullptr;
  }
  nvinfer1::IPluginV3* clone() noexcept override {
    auto* copy = new (std::nothrow) Plugin(values_);
    if (!copy) log_error(name(), "out of memory");
    return copy;
  }

  const char* getPluginName() const noexcept override { return name(); }
  const char* getPluginVersion() const noexcept override { return kPluginVersion; }
  const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }

  std::int32_t getNbOutputs() const noexcept override { return kOutputs<Arguments>; }
  std::int32_t getOutputDataTypes(nvinfer1::DataType* types, std::int32_t outputs, const nvinfer1::DataType*,
                                  std::int32_t inputs) const noexcept override {
    if (!counts_fit(inputs, outputs)) return kFailed;
    for (int i = 0; i < kOutputs<Arguments>; ++i) types[i] = type_of(Contract<Arguments>::kOutputs[i], values_);
    return 0;
  }
  std::int32_t getOutputShapes(const nvinfer1::DimsExprs* in, std::int32_t inputs, const nvinfer1::DimsExprs*,
                               std::int32_t, nvinfer1::DimsExprs* out, std::int32_t outputs,
                               nvinfer1::IExprBuilder& expressions) noexcept override {
    if (!counts_fit(inputs, outputs)) return kFailed;
    for (int i = 0; i < kInputs<Arguments>; ++i) {
      if (const Fault fault = check_rank(Contract<Arguments>::kInputs[i], in[i].nbDims)) {
        log_fault(name(), fault);
        return kFailed;
      }
    }
    output_shapes<Arguments>(values_, in, out, expressions);
    return 0;
  }
  bool supportsFormatCombination(std::int32_t position, const nvinfer1::DynamicPluginTensorDesc* tensors,
                                 std::int32_t inputs, std::int32_t outputs) noexcept override {
    if (!counts_fit(inputs, outputs) || position < 0 || position >= inputs + outputs) return false;
    const nvinfer1::PluginTensorDesc& tensor = tensors[position].desc;
    return tensor.format == nvinfer1::TensorFormat::kLINEAR && supports(port_at<Arguments>(position), tensor.type);
  }
  std::int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc*, std::int32_t inputs,
                               const nvinfer1::DynamicPluginTensorDesc*, std::int32_t outputs) noexcept override {
    return counts_fit(inputs, outputs) ? 0 : kFailed;
  }
  std::size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* in, std::int32_t inputs,
                               const nvinfer1::DynamicPluginTensorDesc*, std::int32_t outputs) const noexcept override {
    if (!counts_fit(inputs, outputs)) return 0;
    std::array<nvinfer1::Dims, kInputs<Arguments>> largest;
    for (int i = 0; i < kInputs<Arguments>; ++i) largest[static_cast<std::size_t>(i)] = in[i].max;
    Arguments arguments{};
    return arranged(largest, arguments) ? cuda::workspace(arguments) : 0;
  }

  std::int32_t onShapeChange(const nvinfer1::PluginTensorDesc* in, std::int32_t inputs,
                             const nvinfer1::PluginTensorDesc*, std::int32_t outputs) noexcept override {
    Arguments arguments{};
    return counts_fit(inputs, outputs) && arranged(shapes(in), arguments) ? 0 : kFailed;
  }
  std::int32_t enqueue(const nvinfer1::PluginTensorDesc* in, const nvinfer1::PluginTensorDesc* out,
                       const void* const* inputs, void* const* outputs, void* workspace,
                       cudaStream_t stream) noexcept override {
    Arguments arguments{};
    if (!arranged(shapes(in), arguments)) return kFailed;
    attach(arguments, out, inputs, outputs);
    arguments.workspace = workspace;
    if (const Fault fault = check(arguments)) {
      log_fault(name(), fault);
      return kFailed;
    }
    const cudaError_t status = cuda::run(arguments, stream);
    if (status != cudaSuccess) log_error(name(), cuda::status_text(status));
    return static_cast<std::int32_t>(status);
  }
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override { return clone(); }
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override { return fields_.collection(); }

 private:
  using Shapes = std::array<nvinfer1::Dims, kInputs<Arguments>>;

  static const char* name() { return Contract<Arguments>::kName; }

  static bool counts_fit(std::int32_t inputs, std::int32_t outputs) {
    const bool fit = inputs == kInputs<Arguments> && outputs == kOutputs<Arguments>;
    if (!fit) log_error(name(), "wrong number of inputs or outputs");
    return fit;
  }
  static Shapes shapes(const nvinfer1::PluginTensorDesc* tensors) {
    Shapes dims;
    for (int i = 0; i < kInputs<Arguments>; ++i) dims[static_cast<std::size_t>(i)] = tensors[i].dims;
    return dims;
  }
  // Fills in what follows from fields and shapes; logs what does not fit.
  bool arranged(const Shapes& shapes, Arguments& arguments) const {
    const Fault fault = arrange(values_, shapes.data(), arguments);
    if (fault) log_fault(name(), fault);
    return !fault;
  }

  const Values values_;
  const Fields fields_{kTable<Arguments>, &values_};
};

}  // namespace spit::tensorrt
