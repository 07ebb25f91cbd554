// What arguments an op accepts. Executors and kernels rely on it and check nothing again.
#pragma once

#include <cstdint>
#include <iomanip>
#include <locale>
#include <sstream>
#include <string>

#include "../contracts.hpp"

SPIT_NAMESPACE_BEGIN

constexpr std::int64_t kMostBatchPixels = (std::int64_t{1} << 31) - 1;

inline std::string text_of(double value) {
  if (value != value) return "nan";  // some print its sign
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << std::setprecision(8) << value;
  return text.str();
}

inline std::string text_of(const Fault& fault) {
  return std::string(fault.argument) + " must " + fault.must + ", not " + text_of(fault.value);
}

inline Fault check_extent(const Extent& extent) {
  const auto [batch, height, width] = extent;
  if (batch < 1) return {"batch", static_cast<double>(batch), "be at least 1"};
  if (height < 1 || height > kMostPixels) return {"height", static_cast<double>(height), kMostPixelsFit};
  if (width < 1 || width > kMostPixels) return {"width", static_cast<double>(width), kMostPixelsFit};
  const std::int64_t pixels = height * width;
  if (pixels > kMostPixels) return {"height * width", static_cast<double>(pixels), kMostPixelsFit};
  if (batch > kMostBatchPixels / pixels) {
    return {"batch * height * width", static_cast<double>(batch) * static_cast<double>(pixels), "be below 2^31"};
  }
  return {};
}

inline Fault check_field(const Field& field, double value) {
  if (value >= field.low && value <= field.high) return {};
  return {field.name, value, field.fit};
}

// The ranges of the attributes.
template <class Arguments>
Fault check_fields(const Arguments& arguments) {
  Fault first;
  Contract<Arguments>::fields(arguments, [&](const Field& field, auto value) {
    if (!first) first = check_field(field, static_cast<double>(value));
  });
  return first;
}

// What an op's attributes must do together; most have nothing of the kind.
template <class Arguments>
Fault check_together(const Arguments&) {
  return {};
}
inline Fault check_together(const SpitFeatures& a) {
  const std::int64_t cells = std::int64_t{a.max_tokens} * a.bins * a.bins;
  if (cells > kMostBatchPixels) return {"max_tokens * bins * bins", static_cast<double>(cells), "be below 2^31"};
  return {};
}

inline Fault check_kind(const SpitImages& images) {
  if (images.type != SPIT_UINT8 && images.type != SPIT_FLOAT32) {
    return {"type", static_cast<double>(images.type), "be that of uint8 or float32"};
  }
  if (images.type == SPIT_UINT8 && images.pixels != SPIT_PIXELS_UINT8) {
    return {"pixels", static_cast<double>(images.pixels), "be uint8 for uint8 images"};
  }
  return {};
}

inline Fault check_pointer(const Port& port, const void* pointer) {
  if (pointer) return {};
  return {port.name, 0.0, "be an address"};
}
inline Fault check_pointer(const Port& port, const SpitImages& images) { return check_pointer(port, images.data); }

template <class Arguments>
Fault check_pointers(const Arguments& arguments) {
  Fault first;
  const auto check = [&](const Port& port, const auto& pointer) {
    if (!first) first = check_pointer(port, pointer);
  };
  Contract<Arguments>::inputs(arguments, check);
  Contract<Arguments>::outputs(arguments, check);
  return first;
}

// All but the pointers.
template <class Arguments>
Fault check_sizes(const Arguments& arguments) {
  if (const Fault fault = check_fields(arguments)) return fault;
  if constexpr (Contract<Arguments>::kHasImages) {
    if (const Fault fault = check_kind(arguments.images)) return fault;
  }
  if (const Fault fault = check_extent(extent_of(arguments))) return fault;
  return check_together(arguments);
}

template <class Arguments>
Fault check(const Arguments& arguments) {
  if (const Fault fault = check_sizes(arguments)) return fault;
  return check_pointers(arguments);
}

SPIT_NAMESPACE_END
