// What this library is, as one symbol that can be read from the file without loading it.
#include <NvInferVersion.h>
#include <cuda_runtime_api.h>

#include "../kernels/contracts.hpp"

#define SPIT_TEXT_OF(x) #x
#define SPIT_TEXT(x) SPIT_TEXT_OF(x)
#define SPIT_MARKER "SPIT-PLUGINS-INFO "

extern "C" {
__attribute__((visibility("default"))) extern const char spit_plugins_info_text[];
}
// clang-format off
const char spit_plugins_info_text[] = SPIT_MARKER
    "{\"version\": \"" SPIT_VERSION "\""
    ", \"variant\": \"" SPIT_VARIANT_NAME "\""
    ", \"machine\": \"" SPIT_MACHINE "\""
    ", \"cuda\": " SPIT_TEXT(CUDART_VERSION)
    ", \"tensorrt\": \"" SPIT_TEXT(NV_TENSORRT_MAJOR) "." SPIT_TEXT(NV_TENSORRT_MINOR) "." SPIT_TEXT(NV_TENSORRT_PATCH) "\""
    ", \"architectures\": [" SPIT_ARCHITECTURES "]"
    ", \"contracts\": " SPIT_CONTRACTS_JSON "}";
// clang-format on

extern "C" __attribute__((visibility("default"))) const char* spit_plugins_info(void) {
  return spit_plugins_info_text + sizeof SPIT_MARKER - 1;
}
