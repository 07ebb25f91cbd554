// Python module _native: numpy arrays in, numpy arrays out, without the GIL, and without copies of what is
// contiguous.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "../kernels/common/memory.hpp"
#include "dispatch.hpp"
#include "info.hpp"
#include "thread_pool.hpp"

namespace nb = nanobind;

namespace spit::native {
namespace {

using Array = nb::ndarray<nb::ro, nb::device::cpu>;

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

void raise_fault(const Fault& fault, const char* op) {
  if (fault) throw nb::value_error((std::string(op) + ": " + text_of(fault)).c_str());
}

// The array itself if it is contiguous, else a copy.
Array contiguous(const Array& array) {
  std::int64_t expected = 1;
  for (std::size_t i = array.ndim(); i-- > 0; expected *= static_cast<std::int64_t>(array.shape(i))) {
    if (array.shape(i) == 1 || array.stride(i) == expected) continue;
    const nb::object view = nb::cast(nb::ndarray<nb::numpy, nb::ro>(array));
    return nb::cast<Array>(nb::module_::import_("numpy").attr("ascontiguousarray")(view));
  }
  return array;
}

// Ctrl-C is heard by Python, on its main thread and with the GIL. Taking the GIL from busy threads takes
// milliseconds, so it is seldom done.
constexpr auto kBetweenLooks = std::chrono::milliseconds(50);
std::chrono::steady_clock::time_point next_look;  // the main thread's

void raise_signals() {
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

void hear_signals() {
  if (std::chrono::steady_clock::now() < next_look) return;
  const nb::gil_scoped_acquire gil;
  raise_signals();
  next_look = std::chrono::steady_clock::now() + kBetweenLooks;
}

void listen_on_main_thread(Execution& execution) {
  if (syscall(SYS_gettid) != getpid()) return;
  execution.interruption_point = hear_signals;
  next_look = std::chrono::steady_clock::now() + kBetweenLooks;
}

nb::dlpack::dtype type_of(Type type) {
  if (type == Type::kInt32) return nb::dtype<std::int32_t>();
  return type == Type::kInt64 ? nb::dtype<std::int64_t>() : nb::dtype<float>();
}

const char* name_of(Type type) { return type == Type::kInt32 ? "int32" : type == Type::kInt64 ? "int64" : "float32"; }

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
  listen_on_main_thread(execution);
  return execution;
}

// Labels of every image must be 0...count - 1, each present: a service to the caller, on which no access to memory
// rests, as they may change while the op runs.
void check_labels(const std::int32_t* labels, const std::int32_t* counts, int batch, std::int64_t pixels,
                  const char* op) {
  std::vector<char> present;
  for (int image = 0; image < batch; ++image, labels += pixels) {
    raise_signals();
    const std::int32_t count = read_once(counts + image);
    const std::string where = " of image " + std::to_string(image);
    if (count < 1 || count > pixels) {
      Argument{op, "counts"}.bad_value(where + " must be in 1..." + std::to_string(pixels) + ", not " +
                                       std::to_string(count));
    }
    present.assign(static_cast<std::size_t>(count), 0);
    std::int32_t found = 0;
    for (std::int64_t p = 0; p < pixels; ++p) {
      const std::int32_t label = read_once(labels + p);
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

// The sizes of the batch, from the inputs in which they stand first, and from attributes.
template <class Arguments>
Extent extent_of(const std::vector<Array>& inputs, const Arguments& arguments) {
  using C = Contract<Arguments>;
  Extent extent{-1, C::size(arguments, kHeight), C::size(arguments, kWidth)};
  bool found[3] = {};
  std::size_t i = 0;
  for (const Port& port : C::kInputs) {
    const Array& array = inputs[i++];
    for (int axis = 0; axis < port.rank && array.ndim() == static_cast<std::size_t>(port.rank); ++axis) {
      const int symbol = -1 - port.dims[axis];
      if (symbol < 0 || symbol > 2 || found[symbol]) continue;
      found[symbol] = true;
      (symbol == 0   ? extent.batch
       : symbol == 1 ? extent.height
                     : extent.width) = static_cast<std::int64_t>(array.shape(static_cast<std::size_t>(axis)));
    }
  }
  return extent;
}

template <class Arguments>
void check_input(const Array& array, const Port& port, const Arguments& arguments) {
  const Argument argument{Contract<Arguments>::kName, port.name};
  bool same = array.ndim() == static_cast<std::size_t>(port.rank);
  std::string expected;
  for (int axis = 0; axis < port.rank; ++axis) {
    const std::int64_t size = Contract<Arguments>::size(arguments, port.dims[axis]);
    same = same && static_cast<std::int64_t>(array.shape(static_cast<std::size_t>(axis))) == size;
    expected += (axis ? ", " : "") + std::to_string(size);
  }
  if (!same) argument.bad_value("must be [" + expected + "], not " + shape_of(array));
}

void attach(SpitImages& images, const Array& array, Argument argument, Type) {
  const bool bytes = array.dtype() == nb::dtype<std::uint8_t>();
  if (!bytes && array.dtype() != nb::dtype<float>()) argument.bad_type("must be uint8 or float32");
  images.data = array.data();
  images.type = bytes ? SPIT_UINT8 : SPIT_FLOAT32;
}
template <class T>
void attach(const T*& pointer, const Array& array, Argument argument, Type type) {
  if (array.dtype() != type_of(type)) argument.bad_type(std::string("must be ") + name_of(type));
  pointer = static_cast<const T*>(array.data());
}

template <class Arguments>
void attach_all(Arguments& arguments, const std::vector<Array>& inputs) {
  using C = Contract<Arguments>;
  std::size_t i = 0;
  C::inputs(arguments, [&](const Port& port, auto& pointer) {
    attach(pointer, inputs[i++], Argument{C::kName, port.name}, port.type);
  });
}

// Inputs that are not contiguous are replaced by copies, once all sizes are known to be right.
template <class Arguments>
void attach_inputs(Arguments& arguments, std::vector<Array>& inputs) {
  using C = Contract<Arguments>;
  if (inputs.size() != std::size(C::kInputs)) throw nb::value_error("wrong number of inputs");
  attach_all(arguments, inputs);
  const Array& first = inputs[0];
  if (C::kHasImages && (first.ndim() != 4 || first.shape(1) != 3)) {
    Argument{C::kName, "images"}.bad_value("must be [B, 3, H, W], not " + shape_of(first));
  }
  const Extent extent = extent_of(inputs, arguments);
  raise_fault(check_extent(extent), C::kName);
  set_extent(arguments, extent);
  std::size_t i = 0;
  for (const Port& port : C::kInputs) check_input(inputs[i++], port, arguments);
  raise_fault(check_sizes(arguments), C::kName);  // before copies and outputs are as large as they say
  for (Array& array : inputs) array = contiguous(array);
  attach_all(arguments, inputs);
}

// Tokens are float32 here, whatever else they can be elsewhere.
template <class Arguments>
nb::object allocate(const Arguments& arguments, const Port& port, void*& data) {
  std::vector<std::size_t> shape;
  for (int axis = 0; axis < port.rank; ++axis) {
    shape.push_back(static_cast<std::size_t>(Contract<Arguments>::size(arguments, port.dims[axis])));
  }
  const std::int64_t size = port.type == Type::kInt64 ? 8 : 4;
  data = ::operator new(static_cast<std::size_t>(elements_of(arguments, port) * size));
  nb::capsule owner(data, [](void* p) noexcept { ::operator delete(p); });
  return nb::cast(nb::ndarray<nb::numpy>(data, shape.size(), shape.data(), owner, nullptr, type_of(port.type)));
}

template <class Arguments>
nb::object call(std::vector<Array>& inputs, const std::vector<double>& values, const Execution& execution) {
  using C = Contract<Arguments>;
  Arguments arguments{};
  if (values.size() != std::size(C::kFields)) throw nb::value_error("wrong number of attributes");
  std::size_t i = 0;
  C::fields(arguments, [&](const Field& field, auto& value) {
    raise_fault(check_field(field, values[i]), C::kName);
    value = static_cast<std::remove_reference_t<decltype(value)>>(values[i++]);
  });
  attach_inputs(arguments, inputs);
  if constexpr (std::is_same_v<Arguments, SpitFeatures>) {
    check_labels(arguments.labels, arguments.counts, arguments.images.batch,
                 std::int64_t{arguments.images.height} * arguments.images.width, C::kName);
  }
  nb::list outputs;
  C::outputs(arguments, [&](const Port& port, auto& pointer) {
    void* data = nullptr;
    outputs.append(allocate(arguments, port, data));
    pointer = static_cast<std::remove_reference_t<decltype(pointer)>>(data);
  });
  Fault fault;
  {
    const nb::gil_scoped_release release;
    fault = run(arguments, execution);
  }
  raise_fault(fault, C::kName);
  return nb::tuple(outputs);
}

nb::object call_named(const std::string& op, std::vector<Array> inputs, const std::vector<double>& values, int threads,
                      const std::string& executor, std::uint64_t seed) {
  const Execution execution = checked_execution(threads, executor, seed, op.c_str());
#define SPIT_CALL(Arguments, name) \
  if (op == Contract<Arguments>::kName) return call<Arguments>(inputs, values, execution);
  SPIT_EACH_OP(SPIT_CALL)
#undef SPIT_CALL
  throw nb::value_error(("there is no op " + op).c_str());
}

}  // namespace
}  // namespace spit::native

NB_MODULE(_native, m) {
  using namespace spit::native;
  m.def("call", &call_named, nb::arg("op"), nb::arg("inputs"), nb::arg("attributes"), nb::arg("threads"),
        nb::arg("executor"), nb::arg("seed"));
  m.def("info", &info);
}
