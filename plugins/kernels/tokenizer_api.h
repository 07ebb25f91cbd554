/* The ops as plain C functions on a CUDA stream, for programs that tokenize outside an engine.
 * Written by plugins/generate.py from spit_edge/base/contracts.py.
 *
 * Pointers are device pointers, arrays are contiguous. Workspace is aligned to 256 bytes and as
 * large as the op's *_workspace function says for the same arguments, whose pointers may be null
 * there (0: they are not valid). Nothing allocates, synchronises or throws; calls may be captured
 * in a CUDA graph. Functions return 0, or the cudaError_t of what failed; 1, cudaErrorInvalidValue,
 * also stands for arguments that do not fit: then spit_fault_text says which one and why. */
/* clang-format off */
#ifndef SPIT_TOKENIZER_API_H
#define SPIT_TOKENIZER_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SPIT_PIXELS_UINT8, SPIT_PIXELS_UNIT, SPIT_PIXELS_IMAGENET };
enum { SPIT_INTERPOLATION_BILINEAR, SPIT_INTERPOLATION_NEAREST };
enum { SPIT_TOKEN_TYPE_FLOAT32, SPIT_TOKEN_TYPE_FLOAT16, SPIT_TOKEN_TYPE_BFLOAT16 };
enum { SPIT_UINT8, SPIT_FLOAT32 };

typedef struct SpitImages {
  const void* data; /* [batch, 3, height, width] */
  int32_t type;     /* SPIT_UINT8 or SPIT_FLOAT32 */
  int32_t pixels;   /* SPIT_PIXELS_...; of SPIT_UINT8, SPIT_PIXELS_UINT8 */
  int32_t batch, height, width;
} SpitImages;

typedef struct SpitMerge {
  SpitImages images; /* [batch, 3, height, width] */
  int32_t levels; /* in [0, 16] */
  double compactness; /* in [0, 1] */
  double final_threshold; /* in [0, 8] */
  int32_t* labels; /* [batch, height, width] */
  int32_t* counts; /* [batch] */
  void* workspace;
} SpitMerge;

typedef struct SpitFeatures {
  SpitImages images; /* [batch, 3, height, width] */
  const int32_t* labels; /* [batch, height, width] */
  const int32_t* counts; /* [batch] */
  int32_t max_tokens; /* in [1, 1048576] */
  int32_t bins; /* in [2, 64] */
  double sigma; /* in [0.001, 10] */
  int32_t gradient; /* in [0, 1] */
  int32_t interpolation; /* SPIT_INTERPOLATION_... */
  int32_t token_type; /* SPIT_TOKEN_TYPE_... */
  void* tokens; /* [batch, max_tokens, bins * bins * (gradient ? 5 : 4)] */
  void* workspace;
} SpitFeatures;

typedef struct SpitVoronoi {
  const int64_t* seeds; /* [batch] */
  int32_t batch;
  int32_t height; /* in [1, 67108864] */
  int32_t width; /* in [1, 67108864] */
  int32_t* labels; /* [batch, height, width] */
  int32_t* counts; /* [batch] */
  void* workspace;
} SpitVoronoi;

/* SuperpixelMerge: superpixels by hierarchical merging, numbered in raster order of first pixels. */
size_t spit_superpixel_merge_workspace(const SpitMerge* arguments);
int32_t spit_superpixel_merge(const SpitMerge* arguments, void* stream);
/* RegionFeatures: resampled colours and joint histograms of the first max_tokens regions; other rows 0. */
size_t spit_region_features_workspace(const SpitFeatures* arguments);
int32_t spit_region_features(const SpitFeatures* arguments, void* stream);
/* VoronoiTessellation: Voronoi cells of round(sqrt(height width)) random sites, a pure function of the seed. */
size_t spit_voronoi_tessellation_workspace(const SpitVoronoi* arguments);
int32_t spit_voronoi_tessellation(const SpitVoronoi* arguments, void* stream);

/* What a returned number means. */
const char* spit_status_text(int32_t status);
/* What was wrong with the arguments of the last call on this thread that was refused. */
const char* spit_fault_text(void);
/* What the library is, as JSON; the same text stands behind "SPIT-PLUGINS-INFO " in the file. */
const char* spit_plugins_info(void);

#ifdef __cplusplus
}
#endif

#endif
