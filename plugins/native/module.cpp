// Python module _native: numpy arrays in, numpy arrays out, without copies and without the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "info.hpp"
#include "thread_pool.hpp"

namespace nb = nanobind;

namespace spit::native {
namespace {

using Array = nb::ndarray<nb::ro, nb::device::cpu>;
template <class T>
using Output = nb::ndarray<nb::numpy, T>;

std::string shape_of(const Array& array) {
  std::string text = "[";
  for (std::size_t i = 0; i < array.ndim(); ++i) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + "]";
}

// An argument by op and name, for messages.
struct Argument {
  const char* op;
  const char* name;

  [[noreturn]] void bad_value(const std::string& wrong) const {
    throw nb::value_error((std::string(op) + ": " + name + " " + wrong).c_str());
  }
  [[noreturn]] void bad_type(const std::string& wrong) const {
    throw nb::type_error((std::string(op) + ": " + name + " " + wrong).c_str());
  }
};

void require_contiguous(const Array& array, Argument argument) {
  std::int64_t expected = 1;
  for (std::size_t i = array.ndim(); i-- > 0;) {
    if (array.shape(i) != 1 && array.stride(i) != expected) argument.bad_value("must be contiguous");
    expected *= static_cast<std::int64_t>(array.shape(i));
  }
}

template <class T>
const T* checked(const Array& array, const std::vector<std::size_t>& shape, const char* type, Argument argument) {
  if (array.dtype() != nb::dtype<T>()) argument.bad_type(std::string("must be ") + type);
  std::string expected;
  bool same = array.ndim() == shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    same = same && array.shape(i) == shape[i];
    expected += (i ? ", " : "") + std::to_string(shape[i]);
  }
  if (!same) argument.bad_value("must be [" + expected + "], not " + shape_of(array));
  require_contiguous(array, argument);
  return static_cast<const T*>(array.data());
}

PixelKind pixel_kind(const std::string& pixels, const char* op) {
  if (pixels == "uint8") return PixelKind::kUint8;
  if (pixels == "unit") return PixelKind::kUnit;
  if (pixels == "imagenet") return PixelKind::kImagenet;
  Argument{op, "pixels"}.bad_value("must be uint8, unit or imagenet, not '" + pixels + "'");
}

void raise_fault(const Fault& fault, const char* op) {
  if (!fault) return;
  char value[32];
  std::snprintf(value, sizeof value, "%.17g", fault.value);
  Argument{op, fault.argument}.bad_value(std::string("must be ") + fault.expected + ", not " + value);
}

Images checked_images(const Array& images, const std::string& pixels, const char* op) {
  const Argument argument{op, "images"};
  const bool bytes = images.dtype() == nb::dtype<std::uint8_t>();
  if (!bytes && images.dtype() != nb::dtype<float>()) argument.bad_type("must be uint8 or float32");
  if (images.ndim() != 4 || images.shape(1) != 3) argument.bad_value("must be [B, 3, H, W], not " + shape_of(images));
  const Fault fault = check_extent(images.shape(0), images.shape(2), images.shape(3));
  raise_fault(fault, op);
  require_contiguous(images, argument);
  return {images.data(),
          bytes,
          pixel_kind(pixels, op),
          static_cast<int>(images.shape(0)),
          static_cast<int>(images.shape(2)),
          static_cast<int>(images.shape(3))};
}

Execution checked_execution(int threads, const std::string& executor, std::uint64_t seed, const char* op) {
  if (threads < 0 || threads > 256) {
    Argument{op, "threads"}.bad_value("must be in 0...256 (0: one per core), not " + std::to_string(threads));
  }
  Execution execution{ExecutorKind::kThreads, threads ? threads : available_threads(), seed};
  if (executor == "shuffled") {
    execution.executor = ExecutorKind::kShuffled;
  } else if (executor != "threads") {
    Argument{op, "executor"}.bad_value("must be threads or shuffled, not '" + executor + "'");
  }
  return execution;
}

template <class T>
Output<T> allocate(std::initializer_list<std::size_t> shape) {
  std::size_t count = 1;
  for (const std::size_t size : shape) count *= size;
  std::unique_ptr<T[]> data(new T[count]);
  nb::capsule owner(data.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return Output<T>(data.release(), shape, owner);
}

using LabelsAndCounts = std::pair<Output<std::int32_t>, Output<std::int32_t>>;

LabelsAndCounts py_superpixel_merge(const Array& images, const std::string& pixels, int levels, double compactness,
                                    double final_threshold, int threads, const std::string& executor,
                                    std::uint64_t seed) {
  const char* op = "superpixel_merge";
  const Images checked = checked_images(images, pixels, op);
  const Execution execution = checked_execution(threads, executor, seed, op);
  auto labels = allocate<std::int32_t>({images.shape(0), images.shape(2), images.shape(3)});
  auto counts = allocate<std::int32_t>({images.shape(0)});
  const MergeArguments arguments{checked, levels, compactness, final_threshold, labels.data(), counts.data(), nullptr};
  Fault fault;
  {
    const nb::gil_scoped_release release;
    fault = superpixel_merge(arguments, execution);
  }
  raise_fault(fault, op);
  return {labels, counts};
}

// Labels of every image must be 0...count - 1, each present.
void check_labels(const std::int32_t* labels, const std::int32_t* counts, int batch, std::int64_t pixels,
                  const char* op) {
  std::vector<char> present;
  for (int image = 0; image < batch; ++image, labels += pixels) {
    const std::int32_t count = counts[image];
    const std::string where = " of image " + std::to_string(image);
    if (count < 1 || count > pixels) {
      Argument{op, "counts"}.bad_value(where + " must be in 1..." + std::to_string(pixels) + ", not " +
                                       std::to_string(count));
    }
    present.assign(static_cast<std::size_t>(count), 0);
    std::int32_t found = 0;
    for (std::int64_t p = 0; p < pixels; ++p) {
      const std::int32_t label = labels[p];
      if (label < 0 || label >= count) {
        Argument{op, "labels"}.bad_value(where + " must be in 0..." + std::to_string(count - 1) + ", not " +
                                         std::to_string(label));
      }
      found += !present[static_cast<std::size_t>(label)];
      present[static_cast<std::size_t>(label)] = 1;
    }
    if (found != count) {
      Argument{op, "labels"}.bad_value(where + " must be 0..." + std::to_string(count - 1) +
                                       " without gaps, but only " + std::to_string(found) + " of them occur");
    }
  }
}

Output<float> py_region_features(const Array& images, const Array& labels, const Array& counts,
                                 const std::string& pixels, int max_tokens, int bins, double sigma, bool gradient,
                                 const std::string& interpolation, int threads, const std::string& executor,
                                 std::uint64_t seed) {
  const char* op = "region_features";
  const Images in = checked_images(images, pixels, op);
  const Execution execution = checked_execution(threads, executor, seed, op);
  const std::size_t batch = images.shape(0);
  const auto* label_data =
      checked<std::int32_t>(labels, {batch, images.shape(2), images.shape(3)}, "int32", {op, "labels"});
  const auto* count_data = checked<std::int32_t>(counts, {batch}, "int32", {op, "counts"});
  if (interpolation != "bilinear" && interpolation != "nearest") {
    Argument{op, "interpolation"}.bad_value("must be bilinear or nearest, not '" + interpolation + "'");
  }
  check_labels(label_data, count_data, in.batch, static_cast<std::int64_t>(in.height) * in.width, op);
  FeatureArguments arguments{in,
                             label_data,
                             count_data,
                             max_tokens,
                             bins,
                             sigma,
                             gradient,
                             interpolation == "nearest" ? Interpolation::kNearest : Interpolation::kBilinear,
                             TokenType::kFloat32,
                             nullptr,
                             nullptr};
  float none = 0.0f;
  arguments.tokens = &none;
  raise_fault(check(arguments), op);  // before the output is as large as they say
  const std::size_t row = static_cast<std::size_t>(bins) * bins * (gradient ? 5 : 4);
  auto tokens = allocate<float>({batch, static_cast<std::size_t>(max_tokens), row});
  arguments.tokens = tokens.data();
  const nb::gil_scoped_release release;
  region_features(arguments, execution);
  return tokens;
}

LabelsAndCounts py_voronoi_tessellation(const Array& seeds, std::int64_t height, std::int64_t width, int threads,
                                        const std::string& executor, std::uint64_t seed) {
  const char* op = "voronoi_tessellation";
  const std::size_t batch = seeds.ndim() == 1 ? seeds.shape(0) : 0;
  const auto* seed_data = checked<std::int64_t>(seeds, {batch}, "int64", {op, "seeds"});
  const Execution execution = checked_execution(threads, executor, seed, op);
  raise_fault(check_extent(static_cast<std::int64_t>(batch), height, width), op);
  auto labels = allocate<std::int32_t>({batch, static_cast<std::size_t>(height), static_cast<std::size_t>(width)});
  auto counts = allocate<std::int32_t>({batch});
  const VoronoiArguments arguments{seed_data,
                                   static_cast<int>(batch),
                                   static_cast<int>(height),
                                   static_cast<int>(width),
                                   labels.data(),
                                   counts.data(),
                                   nullptr};
  const nb::gil_scoped_release release;
  voronoi_tessellation(arguments, execution);
  return {labels, counts};
}

}  // namespace
}  // namespace spit::native

NB_MODULE(_native, m) {
  using namespace spit::native;
  m.def("superpixel_merge", &py_superpixel_merge, nb::arg("images"), nb::arg("pixels"), nb::arg("levels"),
        nb::arg("compactness"), nb::arg("final_threshold"), nb::arg("threads"), nb::arg("executor"), nb::arg("seed"));
  m.def("region_features", &py_region_features, nb::arg("images"), nb::arg("labels"), nb::arg("counts"),
        nb::arg("pixels"), nb::arg("max_tokens"), nb::arg("bins"), nb::arg("sigma"), nb::arg("gradient"),
        nb::arg("interpolation"), nb::arg("threads"), nb::arg("executor"), nb::arg("seed"));
  m.def("voronoi_tessellation", &py_voronoi_tessellation, nb::arg("seeds"), nb::arg("height"), nb::arg("width"),
        nb::arg("threads"), nb::arg("executor"), nb::arg("seed"));
  m.def("info", &info);
}
