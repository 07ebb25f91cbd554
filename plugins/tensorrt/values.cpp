#include "values.hpp"

#include <cmath>
#include <cstring>
#include <iomanip>
#include <limits>
#include <locale>
#include <sstream>

namespace spit::tensorrt {
namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::string text_of(double value) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << std::setprecision(8) << value;
  return text.str();
}

template <class T>
T first(const PluginField& field) {
  T value;
  std::memcpy(&value, field.data, sizeof value);
  return value;
}

double whole_of(const PluginField& field) {
  if (field.type == PluginFieldType::kINT32) return first<std::int32_t>(field);
  // Beyond 2^53 a double is not exact, but then far out of every range, too.
  if (field.type == PluginFieldType::kINT64) return static_cast<double>(first<std::int64_t>(field));
  return kNaN;
}

double real_of(const PluginField& field) {
  if (field.type == PluginFieldType::kFLOAT32) return first<float>(field);
  if (field.type == PluginFieldType::kFLOAT64) return first<double>(field);
  return kNaN;
}

// Strings come with or without the zero at their end.
std::string string_of(const PluginField& field) {
  const auto* text = static_cast<const char*>(field.data);
  return std::string(text, strnlen(text, static_cast<std::size_t>(field.length)));
}

std::string read_choice(const FieldContract& contract, const PluginField& field, double& value) {
  if (field.type != PluginFieldType::kCHAR) return std::string(contract.name) + " must be a string";
  const std::string text = string_of(field);
  std::string known;
  for (int i = 0; i <= static_cast<int>(contract.high); ++i) {
    if (text == contract.choices[i]) {
      value = i;
      return {};
    }
    known += std::string(i ? ", " : "") + contract.choices[i];
  }
  return std::string(contract.name) + " must be one of " + known + ", not '" + text + "'";
}

std::string read_number(const FieldContract& contract, const PluginField& field, double& value) {
  const bool whole = contract.kind == FieldKind::kWhole;
  if (field.length != 1) return std::string(contract.name) + " must be one number, not " + std::to_string(field.length);
  value = whole ? whole_of(field) : real_of(field);
  if (value >= contract.low && value <= contract.high) return {};
  if (std::isnan(value)) return std::string(contract.name) + " must be " + (whole ? "an integer" : "a number");
  return std::string(contract.name) + " must lie in [" + text_of(contract.low) + ", " + text_of(contract.high) +
         "], not " + text_of(value);
}

std::string read_field(const FieldContract& contract, const PluginField& field, double& value) {
  if (!field.data || field.length < 0) return std::string(contract.name) + " has no value";
  return contract.kind == FieldKind::kChoice ? read_choice(contract, field, value)
                                             : read_number(contract, field, value);
}

int index_of(const OpContract& contract, const char* name) {
  for (int i = 0; i < contract.field_count; ++i) {
    if (name && std::strcmp(contract.fields[i].name, name) == 0) return i;
  }
  return -1;
}

PluginFieldType type_of(FieldKind kind) {
  if (kind == FieldKind::kWhole) return PluginFieldType::kINT32;
  return kind == FieldKind::kReal ? PluginFieldType::kFLOAT32 : PluginFieldType::kCHAR;
}

}  // namespace

std::string read_values(const OpContract& contract, const nvinfer1::PluginFieldCollection* given, Values& values) {
  std::array<bool, kMostFields> found{};
  for (int i = 0; i < contract.field_count; ++i) values[i] = contract.fields[i].fallback;
  for (int i = 0; given && i < given->nbFields; ++i) {
    const PluginField& field = given->fields[i];
    const int index = index_of(contract, field.name);
    if (index < 0) return std::string("there is no field ") + (field.name ? field.name : "without a name");
    const std::string fault = read_field(contract.fields[index], field, values[index]);
    if (!fault.empty()) return fault;
    found[static_cast<std::size_t>(index)] = true;
  }
  for (int i = 0; i < contract.field_count; ++i) {
    if (contract.fields[i].required && !found[static_cast<std::size_t>(i)]) {
      return std::string("the field ") + contract.fields[i].name + " is missing";
    }
  }
  return {};
}

Fields::Fields(const OpContract& contract, const Values* values) {
  for (int i = 0; i < contract.field_count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const FieldContract& field = contract.fields[i];
    const void* data = nullptr;
    std::int32_t length = 1;
    if (values && field.kind == FieldKind::kChoice) {
      const char* text = field.choices[values->whole(i)];
      data = text;
      length = static_cast<std::int32_t>(std::strlen(text));
    } else if (values && field.kind == FieldKind::kWhole) {
      wholes_[at] = values->whole(i);
      data = &wholes_[at];
    } else if (values) {
      reals_[at] = static_cast<float>((*values)[i]);
      data = &reals_[at];
    }
    fields_[at] = PluginField(field.name, data, type_of(field.kind), length);
  }
  collection_.nbFields = contract.field_count;
  collection_.fields = fields_.data();
}

}  // namespace spit::tensorrt
