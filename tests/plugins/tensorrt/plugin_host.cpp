#include "plugin_host.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <utility>

namespace spit::test {
namespace {

using nvinfer1::PluginFieldType;

class Log final : public nvinfer1::ILogger, public nvinfer1::ILoggerFinder {
 public:
  void log(Severity severity, const char* message) noexcept override {
    const std::lock_guard<std::mutex> lock(mutex_);
    lines_.push_back((severity == Severity::kERROR ? "" : "not an error: ") + std::string(message));
  }
  nvinfer1::ILogger* findLogger() override { return this; }
  std::vector<std::string> taken() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

Log the_log;

DataType type_named(const std::string& name) {
  static const std::map<std::string, DataType> types{{"float32", DataType::kFLOAT},
                                                     {"float16", DataType::kHALF},
                                                     {"bfloat16", DataType::kBF16},
                                                     {"int32", DataType::kINT32},
                                                     {"int64", DataType::kINT64}};
  return types.at(name);
}

Tensor read_tensor(std::istream& line, const std::filesystem::path& folder) {
  std::string type, file;
  int rank = 0;
  line >> type >> file >> rank;
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(rank));
  for (auto& size : sizes) line >> size;
  Tensor tensor{type_named(type), dims(sizes), {}};
  tensor.data.resize(bytes_of(tensor.shape, tensor.type));
  std::ifstream data(folder / file, std::ios::binary);
  data.read(tensor.data.data(), static_cast<std::streamsize>(tensor.data.size()));
  if (!data || data.peek() != std::ifstream::traits_type::eof()) throw std::runtime_error("bad size of " + file);
  return tensor;
}

void read_field(std::istream& line, FieldList& fields) {
  static std::deque<std::string> names;  // fields keep pointers
  std::string kind, value;
  line >> kind >> names.emplace_back() >> value;
  const char* name = names.back().c_str();
  if (kind == "int") fields.whole(name, std::stoi(value));
  if (kind == "float") fields.real(name, std::strtof(value.c_str(), nullptr));
  if (kind == "string") fields.text(name, value);
}

std::unique_ptr<Case> read_case(const std::filesystem::path& folder) {
  auto read = std::make_unique<Case>();
  read->name = folder.filename();
  std::ifstream file(folder / "case.txt");
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string what;
    line >> what;
    if (what == "op") line >> read->op;
    if (what == "field") read_field(line, read->fields);
    if (what == "input") read->inputs.push_back(read_tensor(line, folder));
    if (what == "output") read->outputs.push_back(read_tensor(line, folder));
  }
  return read;
}

}  // namespace

void use_logger(bool wanted) { setLoggerFinder(wanted ? &the_log : nullptr); }

std::vector<std::string> logged() { return the_log.taken(); }

nvinfer1::IPluginCreatorV3One& creator(const std::string& name) {
  std::int32_t count = 0;
  auto* const* creators = getCreators(count);
  for (int i = 0; i < count; ++i) {
    auto* one = static_cast<nvinfer1::IPluginCreatorV3One*>(creators[i]);
    if (name == one->getPluginName()) return *one;
  }
  throw std::runtime_error("no creator " + name);
}

FieldList& FieldList::whole(const char* name, std::int32_t value) {
  return raw(name, &wholes_.emplace_back(value), PluginFieldType::kINT32, 1);
}
FieldList& FieldList::real(const char* name, float value) {
  return raw(name, &reals_.emplace_back(value), PluginFieldType::kFLOAT32, 1);
}
FieldList& FieldList::text(const char* name, const std::string& value) {
  const std::string& kept = texts_.emplace_back(value);
  return raw(name, kept.data(), PluginFieldType::kCHAR, static_cast<std::int32_t>(kept.size()));
}
FieldList& FieldList::raw(const char* name, const void* data, PluginFieldType type, std::int32_t length) {
  fields_.emplace_back(name, data, type, length);
  return *this;
}
const nvinfer1::PluginFieldCollection* FieldList::collection() {
  collection_ = {static_cast<std::int32_t>(fields_.size()), fields_.data()};
  return &collection_;
}

PluginPointer create(const std::string& op, FieldList& fields, nvinfer1::TensorRTPhase phase) {
  return PluginPointer(creator(op).createPlugin("node", fields.collection(), phase));
}

PluginPointer reborn(nvinfer1::IPluginV3& plugin) {
  const std::string op =
      static_cast<nvinfer1::IPluginV3OneCore*>(plugin.getCapabilityInterface(nvinfer1::PluginCapabilityType::kCORE))
          ->getPluginName();
  return PluginPointer(
      creator(op).createPlugin("node", runtime_of(plugin).getFieldsToSerialize(), nvinfer1::TensorRTPhase::kRUNTIME));
}

nvinfer1::IPluginV3OneBuild& build_of(nvinfer1::IPluginV3& plugin) {
  return *static_cast<nvinfer1::IPluginV3OneBuild*>(
      plugin.getCapabilityInterface(nvinfer1::PluginCapabilityType::kBUILD));
}
nvinfer1::IPluginV3OneRuntime& runtime_of(nvinfer1::IPluginV3& plugin) {
  return *static_cast<nvinfer1::IPluginV3OneRuntime*>(
      plugin.getCapabilityInterface(nvinfer1::PluginCapabilityType::kRUNTIME));
}

Dims dims(const std::vector<std::int64_t>& sizes) {
  Dims shape{};
  shape.nbDims = static_cast<std::int32_t>(sizes.size());
  std::copy(sizes.begin(), sizes.end(), shape.d);
  return shape;
}

std::size_t bytes_of(const Dims& shape, DataType type) {
  std::size_t bytes = type == DataType::kINT64 ? 8 : type == DataType::kHALF || type == DataType::kBF16 ? 2 : 4;
  for (int i = 0; i < shape.nbDims; ++i) bytes *= static_cast<std::size_t>(shape.d[i]);
  return bytes;
}

nvinfer1::PluginTensorDesc described(const Dims& shape, DataType type) {
  return {shape, type, nvinfer1::TensorFormat::kLINEAR, 1.0f};
}

nvinfer1::DynamicPluginTensorDesc described(const Dims& least, const Dims& most, DataType type) {
  nvinfer1::DynamicPluginTensorDesc tensor{};
  tensor.desc = described(most, type);
  for (int i = 0; i < most.nbDims; ++i) {
    if (least.d[i] != most.d[i]) tensor.desc.dims.d[i] = -1;
  }
  tensor.min = least;
  tensor.max = most;
  return tensor;
}

std::vector<std::unique_ptr<Case>> all_cases() {
  const char* folder = std::getenv("SPIT_CASES");
  if (!folder) throw std::runtime_error("SPIT_CASES must name a folder of cases");
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  std::vector<std::unique_ptr<Case>> cases;
  for (const auto& one : folders) cases.push_back(read_case(one));
  if (cases.empty()) throw std::runtime_error("no cases");
  return cases;
}

// Names and types of all fields, for comparison with the contracts.
void print_fields() {
  std::int32_t count = 0;
  auto* const* creators = getCreators(count);
  for (int i = 0; i < count; ++i) {
    auto* one = static_cast<nvinfer1::IPluginCreatorV3One*>(creators[i]);
    std::printf("%s %s '%s'\n", one->getPluginName(), one->getPluginVersion(), one->getPluginNamespace());
    const nvinfer1::PluginFieldCollection* fields = one->getFieldNames();
    for (int f = 0; f < fields->nbFields; ++f) {
      const nvinfer1::PluginField& field = fields->fields[f];
      const char* type = field.type == PluginFieldType::kINT32     ? "int"
                         : field.type == PluginFieldType::kFLOAT32 ? "float"
                         : field.type == PluginFieldType::kCHAR    ? "string"
                                                                   : "other";
      std::printf("  %s %s\n", field.name, type);
    }
  }
}

// Of every line of fields, each "KIND NAME VALUE": what the creator of op says of them, or "made".
void print_creations(std::istream& lines, const std::string& op) {
  use_logger(true);
  for (std::string text; std::getline(lines, text);) {
    FieldList fields;
    for (std::istringstream line(text); line.peek() != std::istream::traits_type::eof();) {
      read_field(line, fields);
      line >> std::ws;
    }
    const bool made = create(op, fields) != nullptr;
    const auto said = logged();
    std::printf("%s\n", made ? "made" : said.empty() ? "nothing" : said[0].c_str());
  }
}

}  // namespace spit::test

int main(int count, char** arguments) {
  if (count == 2 && std::strcmp(arguments[1], "--fields") == 0) {
    spit::test::print_fields();
    return 0;
  }
  if (count > 2 && std::strcmp(arguments[1], "--create") == 0) {
    spit::test::print_creations(std::cin, arguments[2]);
    return 0;
  }
  spit::test::use_logger(true);
  return spit::test::run_tests();
}
