/* The ops as plain C functions on a CUDA stream, for programs that tokenize outside a TensorRT engine.
 *
 * Pointers are device pointers, arrays are contiguous. Workspace is aligned to 256 bytes and as large
 * as the op's *_workspace function says for the same arguments, whose pointers may be null there (0: they
 * are not valid). Nothing allocates, synchronises or throws; calls may be captured in a CUDA graph. Functions return 0,
 * or the cudaError_t of what failed; 1, cudaErrorInvalidValue, also stands for arguments out of range. */
#ifndef SPIT_TOKENIZER_API_H
#define SPIT_TOKENIZER_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SpitImages {
  const void* data; /* [batch, 3, height, width] */
  int32_t type;     /* 0: uint8, 1: float32 */
  int32_t pixels;   /* 0: 0...255, 1: [0, 1], 2: ImageNet-normalised */
  int32_t batch, height, width;
} SpitImages;

typedef struct SpitMerge {
  SpitImages images;
  int32_t levels;
  double compactness;
  double final_threshold;
  int32_t* labels; /* [batch, height, width] */
  int32_t* counts; /* [batch] */
  void* workspace;
} SpitMerge;

typedef struct SpitFeatures {
  SpitImages images;
  const int32_t* labels;
  const int32_t* counts;
  int32_t max_tokens;
  int32_t bins;
  double sigma;
  int32_t gradient;      /* 0 or 1 */
  int32_t interpolation; /* 0: bilinear, 1: nearest */
  int32_t token_type;    /* 0: float32, 1: float16, 2: bfloat16 */
  void* tokens;          /* [batch, max_tokens, bins * bins * (gradient ? 5 : 4)] */
  void* workspace;
} SpitFeatures;

typedef struct SpitVoronoi {
  const int64_t* seeds; /* [batch] */
  int32_t batch, height, width;
  int32_t* labels;
  int32_t* counts;
  void* workspace;
} SpitVoronoi;

size_t spit_superpixel_merge_workspace(const SpitMerge* arguments);
size_t spit_region_features_workspace(const SpitFeatures* arguments);
size_t spit_voronoi_tessellation_workspace(const SpitVoronoi* arguments);

int32_t spit_superpixel_merge(const SpitMerge* arguments, void* stream);
int32_t spit_region_features(const SpitFeatures* arguments, void* stream);
int32_t spit_voronoi_tessellation(const SpitVoronoi* arguments, void* stream);

/* What a returned number means. */
const char* spit_status_text(int32_t status);
/* What the library is, as JSON; the same text stands behind "SPIT-PLUGINS-INFO " in the file. */
const char* spit_plugins_info(void);

#ifdef __cplusplus
}
#endif

#endif
