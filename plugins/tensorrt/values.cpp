#include "values.hpp"

#include <cstring>

#include "../kernels/common/validation.hpp"

namespace spit::tensorrt {
namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

template <class T>
T first(const PluginField& field) {
  T value;
  std::memcpy(&value, field.data, sizeof value);
  return value;
}

bool is_whole(PluginFieldType type) { return type == PluginFieldType::kINT32 || type == PluginFieldType::kINT64; }
bool is_real(PluginFieldType type) { return type == PluginFieldType::kFLOAT32 || type == PluginFieldType::kFLOAT64; }

double whole_of(const PluginField& field) {
  if (field.type == PluginFieldType::kINT32) return first<std::int32_t>(field);
  // Beyond 2^53 a double is not exact, but then far out of every range, too.
  return static_cast<double>(first<std::int64_t>(field));
}

double real_of(const PluginField& field) {
  return field.type == PluginFieldType::kFLOAT32 ? first<float>(field) : first<double>(field);
}

// Strings come with or without the zero at their end.
std::string string_of(const PluginField& field) {
  const auto* text = static_cast<const char*>(field.data);
  return std::string(text, strnlen(text, static_cast<std::size_t>(field.length)));
}

std::string must(const Field& field, const std::string& what) { return std::string(field.name) + " must " + what; }

std::string read_choice(const Field& field, const PluginField& given, double& value) {
  if (given.type != PluginFieldType::kCHAR) return must(field, std::string("be ") + field.is);
  const std::string text = string_of(given);
  for (int i = 0; i <= static_cast<int>(field.high); ++i) {
    if (text != field.choices[i]) continue;
    value = i;
    return {};
  }
  return must(field, std::string(field.fit) + ", not '" + text + "'");
}

std::string read_number(const Field& field, const PluginField& given, double& value) {
  const bool whole = field.kind == FieldKind::kWhole;
  if (given.length != 1) return must(field, "be one number, not " + std::to_string(given.length));
  if (!(whole ? is_whole(given.type) : is_real(given.type))) return must(field, std::string("be ") + field.is);
  value = whole ? whole_of(given) : real_of(given);
  const Fault fault = check_field(field, value);
  return fault ? text_of(fault) : std::string();
}

std::string read_field(const Field& field, const PluginField& given, double& value) {
  if (!given.data || given.length < 0) return std::string(field.name) + " has no value";
  return field.kind == FieldKind::kChoice ? read_choice(field, given, value) : read_number(field, given, value);
}

int index_of(FieldTable table, const char* name) {
  for (int i = 0; i < table.count; ++i) {
    if (name && std::strcmp(table.fields[i].name, name) == 0) return i;
  }
  return -1;
}

PluginFieldType type_of(FieldKind kind) {
  if (kind == FieldKind::kWhole) return PluginFieldType::kINT32;
  return kind == FieldKind::kReal ? PluginFieldType::kFLOAT32 : PluginFieldType::kCHAR;
}

}  // namespace

std::string read_values(FieldTable table, const nvinfer1::PluginFieldCollection* given, Values& values) {
  std::array<bool, kMostFields> found{};
  for (int i = 0; i < table.count; ++i) values[i] = table.fields[i].fallback;
  for (int i = 0; given && i < given->nbFields; ++i) {
    const PluginField& field = given->fields[i];
    const int index = index_of(table, field.name);
    if (index < 0) return std::string("there is no attribute ") + (field.name ? field.name : "without a name");
    const std::string fault = read_field(table.fields[index], field, values[index]);
    if (!fault.empty()) return fault;
    found[static_cast<std::size_t>(index)] = true;
  }
  for (int i = 0; i < table.count; ++i) {
    if (table.fields[i].required && !found[static_cast<std::size_t>(i)]) {
      return std::string(table.fields[i].name) + " is missing";
    }
  }
  return {};
}

Fields::Fields(FieldTable table, const Values* values) {
  for (int i = 0; i < table.count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const Field& field = table.fields[i];
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
  collection_.nbFields = table.count;
  collection_.fields = fields_.data();
}

}  // namespace spit::tensorrt
