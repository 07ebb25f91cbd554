// Types, shapes, formats and workspace, as a builder asks for them.
#include <array>
#include <limits>
#include <map>

#include "plugin_host.hpp"

namespace spit::test {
namespace {

using nvinfer1::DimsExprs;
using nvinfer1::IDimensionExpr;
using nvinfer1::TensorFormat;

// A dimension that is known, or one that only has a name.
class Dimension final : public IDimensionExpr, private nvinfer1::apiv::VDimensionExpr {
 public:
  explicit Dimension(std::int64_t value, bool constant = true) : value_(value), constant_(constant) { mImpl = this; }
  bool isConstant() const override { return constant_; }
  std::int64_t getConstantValue() const override { return value_; }
  bool isSizeTensor() const override { return false; }

 private:
  std::int64_t value_;
  bool constant_;
};

class Expressions final : public nvinfer1::IExprBuilder, private nvinfer1::apiv::VExprBuilder {
 public:
  Expressions() { mImpl = this; }
  const IDimensionExpr* symbol() { return &made_.emplace_back(0, false); }
  const IDimensionExpr* constant(std::int64_t value) override { return &made_.emplace_back(value); }
  const IDimensionExpr* operation(nvinfer1::DimensionOperation, const IDimensionExpr&, const IDimensionExpr&) override {
    ADD_FAILURE() << "no shape of these ops needs arithmetic";
    return nullptr;
  }
  const IDimensionExpr* declareSizeTensor(std::int32_t, const IDimensionExpr&, const IDimensionExpr&) override {
    ADD_FAILURE() << "no output of these ops is a size";
    return nullptr;
  }

 private:
  std::deque<Dimension> made_;
};

DimsExprs shape(std::initializer_list<const IDimensionExpr*> dims) {
  DimsExprs made{};
  for (const auto* dim : dims) made.d[made.nbDims++] = dim;
  return made;
}

PluginPointer merge() {
  FieldList fields;
  return create("SuperpixelMerge", fields);
}
PluginPointer features(const char* type = "float32") {
  FieldList fields;
  return create("RegionFeatures", fields.whole("max_tokens", 40).whole("bins", 6).text("token_type", type));
}
PluginPointer voronoi() {
  FieldList fields;
  return create("VoronoiTessellation", fields.whole("height", 30).whole("width", 50));
}

TEST(Shapes, FollowTheImages) {
  Expressions e;
  const auto *batch = e.symbol(), *height = e.symbol(), *width = e.symbol();
  const DimsExprs images = shape({batch, e.constant(3), height, width});
  DimsExprs out[2];
  const PluginPointer plugin = merge();
  ASSERT_EQ(build_of(*plugin).getOutputShapes(&images, 1, nullptr, 0, out, 2, e), 0);
  EXPECT_EQ(out[0].nbDims, 3);
  EXPECT_EQ(out[0].d[0], batch);
  EXPECT_EQ(out[0].d[1], height);
  EXPECT_EQ(out[0].d[2], width);
  EXPECT_EQ(out[1].nbDims, 1);
  EXPECT_EQ(out[1].d[0], batch);
}

TEST(Shapes, OfTokensFollowTheFields) {
  Expressions e;
  const auto *batch = e.symbol(), *height = e.constant(30), *width = e.constant(50);
  const DimsExprs in[] = {shape({batch, e.constant(3), height, width}), shape({batch, height, width}), shape({batch})};
  for (const int gradient : {0, 1}) {
    FieldList fields;
    const PluginPointer plugin =
        create("RegionFeatures", fields.whole("max_tokens", 40).whole("bins", 6).whole("gradient", gradient));
    DimsExprs out;
    ASSERT_EQ(build_of(*plugin).getOutputShapes(in, 3, nullptr, 0, &out, 1, e), 0);
    EXPECT_EQ(out.nbDims, 3);
    EXPECT_EQ(out.d[0], batch);
    EXPECT_EQ(out.d[1]->getConstantValue(), 40);
    EXPECT_EQ(out.d[2]->getConstantValue(), 36 * (4 + gradient));
  }
}

TEST(Shapes, OfCellsFollowTheFields) {
  Expressions e;
  const auto* batch = e.symbol();
  const DimsExprs seeds = shape({batch});
  DimsExprs out[2];
  const PluginPointer plugin = voronoi();
  ASSERT_EQ(build_of(*plugin).getOutputShapes(&seeds, 1, nullptr, 0, out, 2, e), 0);
  EXPECT_EQ(out[0].d[0], batch);
  EXPECT_EQ(out[0].d[1]->getConstantValue(), 30);
  EXPECT_EQ(out[0].d[2]->getConstantValue(), 50);
  EXPECT_EQ(out[1].d[0], batch);
}

TEST(Shapes, OfAnotherRankAreRefused) {
  Expressions e;
  const DimsExprs images = shape({e.symbol(), e.constant(3), e.symbol()});
  DimsExprs out[2];
  const PluginPointer plugin = merge();
  logged();
  EXPECT_NE(build_of(*plugin).getOutputShapes(&images, 1, nullptr, 0, out, 2, e), 0);
  EXPECT_EQ(logged(), std::vector<std::string>{"SuperpixelMerge: images must be of rank 4, not 3"});
}

TEST(Shapes, NeedTheRightNumberOfTensors) {
  Expressions e;
  const DimsExprs in[3] = {};
  DimsExprs out[3];
  DataType types[3];
  for (const auto& plugin : {merge(), features(), voronoi()}) {
    auto& build = build_of(*plugin);
    EXPECT_NE(build.getOutputShapes(in, 2, nullptr, 0, out, 3, e), 0);
    EXPECT_NE(build.getOutputDataTypes(types, 3, nullptr, 2), 0);
    EXPECT_NE(build.configurePlugin(nullptr, 2, nullptr, 2), 0);
    EXPECT_FALSE(build.supportsFormatCombination(0, nullptr, 2, 2));
    EXPECT_EQ(build.getWorkspaceSize(nullptr, 2, nullptr, 2), 0u);
    EXPECT_NE(runtime_of(*plugin).onShapeChange(nullptr, 2, nullptr, 2), 0);
    EXPECT_EQ(logged().size(), 6u);
  }
}

TEST(Types, OfOutputsFollowTheFields) {
  DataType types[2];
  const PluginPointer merged = merge(), cells = voronoi();
  for (auto* plugin : {merged.get(), cells.get()}) {
    EXPECT_EQ(build_of(*plugin).getNbOutputs(), 2);
    ASSERT_EQ(build_of(*plugin).getOutputDataTypes(types, 2, nullptr, 1), 0);
    EXPECT_EQ(types[0], DataType::kINT32);
    EXPECT_EQ(types[1], DataType::kINT32);
  }
  const std::map<std::string, DataType> named{
      {"float32", DataType::kFLOAT}, {"float16", DataType::kHALF}, {"bfloat16", DataType::kBF16}};
  for (const auto& [name, type] : named) {
    const PluginPointer plugin = features(name.c_str());
    EXPECT_EQ(build_of(*plugin).getNbOutputs(), 1);
    ASSERT_EQ(build_of(*plugin).getOutputDataTypes(types, 1, nullptr, 3), 0);
    EXPECT_EQ(types[0], type);
  }
}

const std::vector<DataType> kTypes{DataType::kFLOAT, DataType::kHALF,  DataType::kINT8, DataType::kINT32,
                                   DataType::kBOOL,  DataType::kUINT8, DataType::kFP8,  DataType::kBF16,
                                   DataType::kINT64, DataType::kINT4};
const std::vector<TensorFormat> kFormats{TensorFormat::kLINEAR, TensorFormat::kCHW2,  TensorFormat::kHWC8,
                                         TensorFormat::kCHW4,   TensorFormat::kCHW16, TensorFormat::kCHW32,
                                         TensorFormat::kHWC,    TensorFormat::kHWC16};

// All combinations of types and formats, one position at a time, against the ones expected.
void expect_formats(nvinfer1::IPluginV3& plugin, int inputs, const std::vector<std::vector<DataType>>& expected) {
  const int count = static_cast<int>(expected.size());
  for (int position = 0; position < count; ++position) {
    std::vector<nvinfer1::DynamicPluginTensorDesc> tensors(expected.size());
    const auto at = static_cast<std::size_t>(position);
    for (std::size_t i = 0; i < expected.size(); ++i) tensors[i].desc = described(dims({1}), expected[i][0]);
    for (const DataType type : kTypes) {
      for (const TensorFormat format : kFormats) {
        tensors[at].desc.type = type;
        tensors[at].desc.format = format;
        bool known = false;
        for (const DataType good : expected[at]) known = known || good == type;
        EXPECT_EQ(build_of(plugin).supportsFormatCombination(position, tensors.data(), inputs, count - inputs),
                  known && format == TensorFormat::kLINEAR)
            << position << " " << static_cast<int>(type) << " " << static_cast<int>(format);
      }
    }
  }
  nvinfer1::DynamicPluginTensorDesc none[4]{};
  EXPECT_FALSE(build_of(plugin).supportsFormatCombination(-1, none, inputs, count - inputs));
  EXPECT_FALSE(build_of(plugin).supportsFormatCombination(count, none, inputs, count - inputs));
}

TEST(Types, AreLinearAndNoOthers) {
  const std::vector<DataType> f{DataType::kFLOAT}, i{DataType::kINT32}, l{DataType::kINT64};
  const std::vector<DataType> tokens{DataType::kFLOAT, DataType::kHALF, DataType::kBF16};
  expect_formats(*merge(), 1, {f, i, i});
  expect_formats(*features(), 3, {f, i, i, tokens});
  expect_formats(*voronoi(), 1, {l, i, i});
}

std::size_t merge_workspace(const Dims& least, const Dims& most) {
  const PluginPointer plugin = merge();
  const auto in = described(least, most, DataType::kFLOAT);
  const nvinfer1::DynamicPluginTensorDesc out[2]{};
  return build_of(*plugin).getWorkspaceSize(&in, 1, out, 2);
}

TEST(Workspace, IsThatOfTheLargestShape) {
  const Dims small = dims({1, 3, 48, 64}), wide = dims({1, 3, 480, 640});
  EXPECT_GT(merge_workspace(small, small), 0u);
  EXPECT_EQ(merge_workspace(small, wide), merge_workspace(wide, wide));
  std::size_t before = 0;
  for (const std::int64_t side : {1, 2, 31, 32, 33, 100, 1000}) {
    const Dims square = dims({2, 3, side, side});
    EXPECT_GE(merge_workspace(square, square), before);
    before = merge_workspace(square, square);
  }
}

TEST(Workspace, OfImpossibleShapesIsNone) {
  logged();
  for (const auto& bad : {dims({1, 3, 48}), dims({1, 1, 48, 64}), dims({-1, 3, 48, 64}), dims({1, 3, 0, 64})}) {
    EXPECT_EQ(merge_workspace(bad, bad), 0u);
    EXPECT_EQ(logged().size(), 1u);
  }
}

void expect_shape_refused(const Dims& images, const Dims& labels, const Dims& counts, const std::string& says) {
  const PluginPointer plugin = features();
  const nvinfer1::PluginTensorDesc in[] = {described(images, DataType::kFLOAT), described(labels, DataType::kINT32),
                                           described(counts, DataType::kINT32)};
  const auto out = described(dims({1, 40, 180}), DataType::kFLOAT);
  logged();
  EXPECT_NE(runtime_of(*plugin).onShapeChange(in, 3, &out, 1), 0) << says;
  const void* inputs[3]{};
  void* output = nullptr;
  EXPECT_NE(runtime_of(*plugin).enqueue(in, &out, inputs, &output, nullptr, nullptr), 0) << says;
  const auto lines = logged();
  ASSERT_EQ(lines.size(), 2u) << says;
  EXPECT_EQ(lines[0], lines[1]);
  EXPECT_NE(lines[0].find("RegionFeatures: " + says), std::string::npos) << lines[0];
}

TEST(Shapes, ThatDoNotBelongTogetherAreRefused) {
  const Dims images = dims({2, 3, 30, 50}), labels = dims({2, 30, 50}), counts = dims({2});
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  expect_shape_refused(dims({2, 30, 50}), labels, counts, "images must be of rank 4, not 3");
  expect_shape_refused(images, dims({2, 1, 30, 50}), counts, "labels must be of rank 3, not 4");
  expect_shape_refused(images, labels, dims({2, 1}), "counts must be of rank 1, not 2");
  expect_shape_refused(dims({2, 4, 30, 50}), labels, counts,
                       "images must have the sizes [B, 3, H, W], alike in all inputs, not 4");
  expect_shape_refused(dims({0, 3, 30, 50}), labels, counts, "batch must be at least 1, not 0");
  expect_shape_refused(dims({2, 3, huge, huge}), labels, counts, "height must lie in [1, 67108864]");
  expect_shape_refused(dims({huge, 3, 30, 50}), labels, counts, "batch * height * width must be below 2^31");
  const std::string labels_say = "labels must have the sizes [B, H, W], alike in all inputs, not ";
  expect_shape_refused(images, dims({2, 50, 30}), counts, labels_say + "50");
  expect_shape_refused(images, dims({1, 30, 50}), counts, labels_say + "1");
  expect_shape_refused(images, labels, dims({3}), "counts must have the sizes [B], alike in all inputs, not 3");
}

TEST(Shapes, ThatFitAreAccepted) {
  const PluginPointer plugin = features();
  const nvinfer1::PluginTensorDesc in[] = {described(dims({2, 3, 30, 50}), DataType::kFLOAT),
                                           described(dims({2, 30, 50}), DataType::kINT32),
                                           described(dims({2}), DataType::kINT32)};
  const auto out = described(dims({2, 40, 180}), DataType::kFLOAT);
  EXPECT_EQ(runtime_of(*plugin).onShapeChange(in, 3, &out, 1), 0);
  EXPECT_TRUE(logged().empty());
}

}  // namespace
}  // namespace spit::test
