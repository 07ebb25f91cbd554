// A stand-in for TensorRT: drives the plugins through its public headers as a builder and a runtime do.
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "checks.hpp"

extern "C" void setLoggerFinder(nvinfer1::ILoggerFinder* finder);
extern "C" nvinfer1::IPluginCreatorInterface* const* getCreators(std::int32_t& count);

namespace spit::test {

using nvinfer1::DataType;
using nvinfer1::Dims;
using PluginPointer = std::unique_ptr<nvinfer1::IPluginV3>;

// Gives the plugins a logger, or takes it away.
void use_logger(bool wanted);
// Lines that plugins logged since the last call.
std::vector<std::string> logged();

nvinfer1::IPluginCreatorV3One& creator(const std::string& name);

// Fields of a node or an engine; keeps their values.
class FieldList {
 public:
  FieldList& whole(const char* name, std::int32_t value);
  FieldList& real(const char* name, float value);
  FieldList& text(const char* name, const std::string& value);
  FieldList& raw(const char* name, const void* data, nvinfer1::PluginFieldType type, std::int32_t length);
  const nvinfer1::PluginFieldCollection* collection();

 private:
  std::deque<std::int32_t> wholes_;
  std::deque<float> reals_;
  std::deque<std::string> texts_;
  std::vector<nvinfer1::PluginField> fields_;
  nvinfer1::PluginFieldCollection collection_{};
};

PluginPointer create(const std::string& op, FieldList& fields,
                     nvinfer1::TensorRTPhase phase = nvinfer1::TensorRTPhase::kBUILD);
// As an engine does it: what the plugin serialises, given to its creator at run time.
PluginPointer reborn(nvinfer1::IPluginV3& plugin);

nvinfer1::IPluginV3OneBuild& build_of(nvinfer1::IPluginV3& plugin);
nvinfer1::IPluginV3OneRuntime& runtime_of(nvinfer1::IPluginV3& plugin);

Dims dims(const std::vector<std::int64_t>& sizes);
std::size_t bytes_of(const Dims& shape, DataType type);

// A tensor of a known shape, linear.
nvinfer1::PluginTensorDesc described(const Dims& shape, DataType type);
// The same as a builder shows it, with the profile's range.
nvinfer1::DynamicPluginTensorDesc described(const Dims& least, const Dims& most, DataType type);

// A call of an op, read from a folder: fields, inputs and the outputs expected.
struct Tensor {
  DataType type;
  Dims shape;
  std::vector<char> data;
};
struct Case {
  std::string name;
  std::string op;
  FieldList fields;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
};
std::vector<std::unique_ptr<Case>> all_cases();

}  // namespace spit::test
