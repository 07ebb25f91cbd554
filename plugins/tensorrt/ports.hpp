// What a plugin has to know of its op's inputs and outputs, from the contract's tables.
#pragma once

#include <NvInferRuntime.h>

#include <iterator>

#include "../kernels/common/validation.hpp"
#include "values.hpp"

namespace spit::tensorrt {

using nvinfer1::DataType;
using nvinfer1::Dims;
using nvinfer1::DimsExprs;

template <class Arguments>
constexpr int kInputs = static_cast<int>(std::size(Contract<Arguments>::kInputs));
template <class Arguments>
constexpr int kOutputs = static_cast<int>(std::size(Contract<Arguments>::kOutputs));

// Types by the values of the attribute that chooses one.
constexpr DataType kTypedBy[] = {DataType::kFLOAT, DataType::kHALF, DataType::kBF16};

inline DataType type_of(Type type) {
  if (type == Type::kInt32) return DataType::kINT32;
  return type == Type::kInt64 ? DataType::kINT64 : DataType::kFLOAT;
}

inline DataType type_of(const Port& port, const Values& values) {
  return port.typed_by < 0 ? type_of(port.type) : kTypedBy[values.whole(port.typed_by)];
}

inline bool supports(const Port& port, DataType type) {
  if (port.typed_by < 0) return type == type_of(port.type);
  return type == kTypedBy[0] || type == kTypedBy[1] || type == kTypedBy[2];
}

template <class Arguments>
const Port& port_at(int position) {
  using C = Contract<Arguments>;
  return position < kInputs<Arguments> ? C::kInputs[position] : C::kOutputs[position - kInputs<Arguments>];
}

inline Fault check_rank(const Port& port, int rank) {
  if (rank == port.rank) return {};
  constexpr const char* texts[] = {"", "be of rank 1", "be of rank 2", "be of rank 3", "be of rank 4"};
  return {port.name, static_cast<double>(rank), texts[port.rank]};
}

template <class Arguments>
void set_fields(const Values& values, Arguments& arguments) {
  int i = 0;
  Contract<Arguments>::fields(arguments, [&](const Field&, auto& value) {
    value = static_cast<std::remove_reference_t<decltype(value)>>(values[i++]);
  });
}

// Fills in what follows from fields and shapes; says what does not fit.
template <class Arguments>
Fault arrange(const Values& values, const Dims* in, Arguments& arguments) {
  using C = Contract<Arguments>;
  set_fields(values, arguments);
  std::int64_t sizes[] = {-1, C::size(arguments, kHeight), C::size(arguments, kWidth)};
  bool found[3] = {};
  for (int i = 0; i < kInputs<Arguments>; ++i) {
    const Port& port = C::kInputs[i];
    if (const Fault fault = check_rank(port, in[i].nbDims)) return fault;
    for (int axis = 0; axis < port.rank; ++axis) {
      const int symbol = -1 - port.dims[axis];
      if (symbol < 0 || symbol > 2 || found[symbol]) continue;
      found[symbol] = true;
      sizes[symbol] = in[i].d[axis];
    }
  }
  const Extent extent{sizes[0], sizes[1], sizes[2]};
  if (const Fault fault = check_extent(extent)) return fault;
  set_extent(arguments, extent);
  for (int i = 0; i < kInputs<Arguments>; ++i) {
    const Port& port = C::kInputs[i];
    for (int axis = 0; axis < port.rank; ++axis) {
      const std::int64_t size = in[i].d[axis];
      if (size != C::size(arguments, port.dims[axis])) return {port.name, static_cast<double>(size), port.fit};
    }
  }
  if constexpr (C::kHasImages) arguments.images.type = SPIT_FLOAT32;
  return check_sizes(arguments);
}

// Where data lies, and the types that TensorRT chose.
template <class Arguments>
void attach(Arguments& arguments, const nvinfer1::PluginTensorDesc* out_tensors, const void* const* in,
            void* const* out) {
  using C = Contract<Arguments>;
  int i = 0;
  C::inputs(arguments, [&](const Port&, auto& place) {
    if constexpr (std::is_same_v<decltype(place), SpitImages&>) {
      place.data = in[i++];
    } else {
      place = static_cast<std::remove_reference_t<decltype(place)>>(in[i++]);
    }
  });
  i = 0;
  C::outputs(arguments, [&](const Port&, auto& place) {
    place = static_cast<std::remove_reference_t<decltype(place)>>(out[i++]);
  });
  for (int output = 0; output < kOutputs<Arguments>; ++output) {
    int chosen = 0, field = 0;
    while (chosen < 2 && kTypedBy[chosen] != out_tensors[output].type) ++chosen;
    C::fields(arguments, [&](const Field&, auto& value) {
      if (field++ != C::kOutputs[output].typed_by) return;
      value = static_cast<std::remove_reference_t<decltype(value)>>(chosen);
    });
  }
}

// The dimension of an input where a size of the batch stands first; null if it stands in none.
template <class Arguments>
const nvinfer1::IDimensionExpr* dimension_of(int wanted, const DimsExprs* in) {
  for (int i = 0; i < kInputs<Arguments>; ++i) {
    const Port& port = Contract<Arguments>::kInputs[i];
    for (int axis = 0; axis < port.rank; ++axis) {
      if (port.dims[axis] == wanted) return in[i].d[axis];
    }
  }
  return nullptr;
}

template <class Arguments>
void output_shapes(const Values& values, const DimsExprs* in, DimsExprs* out, nvinfer1::IExprBuilder& expressions) {
  Arguments arguments{};
  set_fields(values, arguments);
  for (int i = 0; i < kOutputs<Arguments>; ++i) {
    const Port& port = Contract<Arguments>::kOutputs[i];
    out[i].nbDims = port.rank;
    for (int axis = 0; axis < port.rank; ++axis) {
      const auto* known = dimension_of<Arguments>(port.dims[axis], in);
      out[i].d[axis] = known ? known : expressions.constant(Contract<Arguments>::size(arguments, port.dims[axis]));
    }
  }
}

}  // namespace spit::tensorrt
