// Creation from fields: what is accepted, what is refused and how that is said, and serialisation.
#include <cstring>
#include <limits>

#include "plugin_host.hpp"

namespace spit::test {
namespace {

using nvinfer1::PluginFieldType;

FieldList& feature_fields(FieldList& fields) { return fields.whole("max_tokens", 64); }

void expect_refused(const std::string& op, FieldList& fields, const std::string& says) {
  logged();
  EXPECT_EQ(create(op, fields), nullptr) << says;
  const auto lines = logged();
  ASSERT_EQ(lines.size(), 1u) << says;
  EXPECT_EQ(lines[0].find(op + ": "), 0u) << lines[0];
  EXPECT_NE(lines[0].find(says), std::string::npos) << lines[0];
}

TEST(Fields, MayBeMissingIfTheyHaveADefault) {
  FieldList none;
  EXPECT_NE(create("SuperpixelMerge", none), nullptr);
  EXPECT_NE(PluginPointer(creator("SuperpixelMerge").createPlugin("n", nullptr, nvinfer1::TensorRTPhase::kBUILD)),
            nullptr);
  expect_refused("RegionFeatures", none, "max_tokens is missing");
  expect_refused("VoronoiTessellation", none, "height is missing");
  FieldList height;
  expect_refused("VoronoiTessellation", height.whole("height", 8), "width is missing");
}

TEST(Fields, OfOtherNamesAreRefused) {
  FieldList fields, nameless;
  expect_refused("SuperpixelMerge", fields.whole("level", 4), "there is no attribute level");
  expect_refused("SuperpixelMerge", nameless.whole(nullptr, 4), "there is no attribute");
}

TEST(Fields, OfWrongTypesAreRefused) {
  const float real = 4.0f;
  const std::int32_t whole = 1;
  FieldList levels, compactness, pixels, half;
  expect_refused("SuperpixelMerge", levels.raw("levels", &real, PluginFieldType::kFLOAT32, 1),
                 "levels must be an integer");
  expect_refused("SuperpixelMerge", compactness.raw("compactness", &whole, PluginFieldType::kINT32, 1),
                 "compactness must be a number");
  expect_refused("SuperpixelMerge", pixels.raw("pixels", &whole, PluginFieldType::kINT32, 1),
                 "pixels must be a string");
  expect_refused("SuperpixelMerge", half.raw("compactness", &whole, PluginFieldType::kFLOAT16, 1),
                 "compactness must be a number");
}

TEST(Fields, WithoutOneValueAreRefused) {
  const std::int32_t two[] = {1, 2};
  FieldList null, several, none, negative;
  expect_refused("SuperpixelMerge", null.raw("levels", nullptr, PluginFieldType::kINT32, 1), "levels has no value");
  expect_refused("SuperpixelMerge", several.raw("levels", two, PluginFieldType::kINT32, 2),
                 "levels must be one number");
  expect_refused("SuperpixelMerge", none.raw("levels", two, PluginFieldType::kINT32, 0), "levels must be one number");
  expect_refused("SuperpixelMerge", negative.raw("pixels", "unit", PluginFieldType::kCHAR, -1), "pixels has no value");
}

TEST(Fields, OutOfRangeAreRefused) {
  struct {
    const char* name;
    std::int32_t value;
  } wholes[] = {{"max_tokens", 0},
                {"max_tokens", -1},
                {"max_tokens", (1 << 20) + 1},
                {"bins", 1},
                {"bins", 65},
                {"gradient", 2},
                {"gradient", -1},
                {"max_tokens", std::numeric_limits<std::int32_t>::max()},
                {"bins", std::numeric_limits<std::int32_t>::min()}};
  for (const auto& [name, value] : wholes) {
    FieldList fields;
    expect_refused("RegionFeatures", fields.whole(name, value), std::string(name) + " must lie in [");
  }
  for (const float value : {-0.1f, 1.1f, std::numeric_limits<float>::infinity()}) {
    FieldList fields;
    expect_refused("SuperpixelMerge", fields.real("compactness", value), "compactness must lie in [0, 1], not ");
  }
  FieldList nan, zero;
  expect_refused("SuperpixelMerge", nan.real("compactness", std::numeric_limits<float>::quiet_NaN()),
                 "compactness must lie in [0, 1], not nan");
  expect_refused("RegionFeatures", feature_fields(zero).real("sigma", 0.0f), "sigma must lie in [0.001, 10], not 0");
  const std::int64_t huge = std::int64_t{1} << 40;
  FieldList wide;
  expect_refused("SuperpixelMerge", wide.raw("levels", &huge, PluginFieldType::kINT64, 1),
                 "levels must lie in [0, 16]");
}

TEST(Fields, ThatAreNoChoiceAreRefused) {
  for (const char* text : {"", "UINT8", "uint", "uint88", "normalised"}) {
    FieldList fields;
    expect_refused("SuperpixelMerge", fields.text("pixels", text),
                   "pixels must be one of uint8, unit, imagenet, not '");
  }
  FieldList type;
  expect_refused("RegionFeatures", feature_fields(type).text("token_type", "int8"),
                 "token_type must be one of float32");
}

TEST(Fields, MayBeWiderAndEndWithAZero) {
  const std::int64_t levels = 3;
  const double compactness = 0.1;
  FieldList fields;
  fields.raw("levels", &levels, PluginFieldType::kINT64, 1);
  fields.raw("compactness", &compactness, PluginFieldType::kFLOAT64, 1);
  fields.raw("pixels", "unit", PluginFieldType::kCHAR, 5);
  EXPECT_NE(create("SuperpixelMerge", fields), nullptr);
  EXPECT_TRUE(logged().empty());
}

// Name, type and bytes of everything a plugin serialises.
std::string serialised(nvinfer1::IPluginV3& plugin) {
  std::string all;
  const nvinfer1::PluginFieldCollection* fields = runtime_of(plugin).getFieldsToSerialize();
  for (int i = 0; i < fields->nbFields; ++i) {
    const nvinfer1::PluginField& field = fields->fields[i];
    const int size = field.type == PluginFieldType::kCHAR ? 1 : 4;
    all += std::string(field.name) + " " + std::to_string(static_cast<int>(field.type)) + " ";
    all.append(static_cast<const char*>(field.data), static_cast<std::size_t>(field.length * size));
    all += "\n";
  }
  return all;
}

TEST(Fields, AreTheSameAfterSerialisation) {
  for (const float compactness : {0.0f, 0.1f, 1e-6f, 0.123456f, 1.0f}) {
    for (const char* pixels : {"uint8", "unit", "imagenet"}) {
      FieldList fields;
      fields.text("pixels", pixels).whole("levels", 7).real("compactness", compactness).real("final_threshold", 0.05f);
      PluginPointer plugin = create("SuperpixelMerge", fields);
      ASSERT_NE(plugin, nullptr);
      PluginPointer again = reborn(*plugin);
      ASSERT_NE(again, nullptr);
      EXPECT_EQ(serialised(*plugin), serialised(*again));
      EXPECT_NE(serialised(*plugin).find(pixels), std::string::npos);
      char bytes[sizeof compactness];
      std::memcpy(bytes, &compactness, sizeof bytes);
      EXPECT_NE(serialised(*plugin).find(std::string("compactness 1 ") + std::string(bytes, 4)), std::string::npos);
    }
  }
}

TEST(Fields, OutliveTheCollectionTheyCameFrom) {
  PluginPointer plugin;
  {
    FieldList fields;
    plugin = create("RegionFeatures", feature_fields(fields).real("sigma", 0.05f).text("interpolation", "nearest"));
  }
  ASSERT_NE(plugin, nullptr);
  EXPECT_NE(serialised(*plugin).find("nearest"), std::string::npos);
  const PluginPointer copy(plugin->clone());
  const std::string before = serialised(*plugin);
  plugin.reset();
  EXPECT_EQ(serialised(*copy), before);
}

TEST(Fields, AreRefusedSilentlyWithoutALogger) {
  use_logger(false);
  FieldList fields;
  EXPECT_EQ(create("SuperpixelMerge", fields.whole("levels", -1)), nullptr);
  use_logger(true);
  EXPECT_TRUE(logged().empty());
}

}  // namespace
}  // namespace spit::test
