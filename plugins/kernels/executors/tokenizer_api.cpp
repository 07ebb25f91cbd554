#include "../tokenizer_api.h"

#include <cstdio>

#include "../common/validation.hpp"
#include "launch.hpp"

namespace spit {
namespace {

thread_local char fault_text[256] = "";

bool refused(const char* op, const char* what) noexcept {
  std::snprintf(fault_text, sizeof fault_text, "%s: %s", op, what);
  return true;
}

template <class Arguments>
bool refused(const Fault& fault) {
  return fault && refused(Contract<Arguments>::kName, text_of(fault).c_str());
}

// Sizes do not depend on where data lies: pointers may be null while there is no memory yet.
template <class Arguments>
std::size_t bytes(const Arguments* given) {
  if (!given) return refused(Contract<Arguments>::kName, "there are no arguments"), 0;
  const Arguments a = *given;
  return refused<Arguments>(check_sizes(a)) ? 0 : cuda::workspace(a);
}

template <class Arguments>
std::int32_t run(const Arguments* given, void* stream) {
  if (!given) return refused(Contract<Arguments>::kName, "there are no arguments"), cudaErrorInvalidValue;
  const Arguments a = *given;  // what is checked is what runs
  if (refused<Arguments>(check(a))) return cudaErrorInvalidValue;
  if (!a.workspace) return refused(Contract<Arguments>::kName, "there is no workspace"), cudaErrorInvalidValue;
  return cuda::run(a, static_cast<cudaStream_t>(stream));
}

}  // namespace
}  // namespace spit

#define SPIT_EXPORT __attribute__((visibility("default")))
#define SPIT_DEFINE(Arguments, name)                                                                        \
  SPIT_EXPORT size_t spit_##name##_workspace(const Arguments* arguments) { return spit::bytes(arguments); } \
  SPIT_EXPORT int32_t spit_##name(const Arguments* arguments, void* stream) { return spit::run(arguments, stream); }
SPIT_EACH_OP(SPIT_DEFINE)

SPIT_EXPORT const char* spit_status_text(int32_t status) {
  return spit::cuda::status_text(static_cast<cudaError_t>(status));
}
SPIT_EXPORT const char* spit_fault_text(void) { return spit::fault_text; }
