// The values of a plugin's fields, and how they come from TensorRT and go back to it.
#pragma once

#include <NvInferRuntime.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <string>

#include "../kernels/contracts.hpp"

namespace spit::tensorrt {

constexpr int kMostFields = 8;

// The fields of a contract.
struct FieldTable {
  const Field* fields;
  int count;
};

template <class Arguments>
constexpr FieldTable kTable{Contract<Arguments>::kFields, static_cast<int>(std::size(Contract<Arguments>::kFields))};

// Numbers by the fields of a contract; for a choice, its index.
class Values {
 public:
  double operator[](int field) const { return numbers_[static_cast<std::size_t>(field)]; }
  double& operator[](int field) { return numbers_[static_cast<std::size_t>(field)]; }
  int whole(int field) const { return static_cast<int>((*this)[field]); }

 private:
  std::array<double, kMostFields> numbers_{};
};

// Reads fields, of which those that are not required may be missing. Returns what is wrong with them,
// or nothing.
std::string read_values(FieldTable table, const nvinfer1::PluginFieldCollection* given, Values& values);

// Names and types of a contract's fields, for a creator; or with values, for serialisation.
class Fields {
 public:
  explicit Fields(FieldTable table, const Values* values = nullptr);
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  const nvinfer1::PluginFieldCollection* collection() const { return &collection_; }

 private:
  std::array<nvinfer1::PluginField, kMostFields> fields_;
  std::array<std::int32_t, kMostFields> wholes_{};
  std::array<float, kMostFields> reals_{};
  nvinfer1::PluginFieldCollection collection_{};
};

}  // namespace spit::tensorrt
