/* SPDX-License-Identifier: MIT */
#include "kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma")))

/* Reading from the right place of this gives a mask of the leading lanes. */
static const int32_t mask_words[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

#define VEC	   __m256
#define LANES	   8
#define MASK	   __m256i
#define MASK_OF(n) _mm256_loadu_si256((const __m256i *)(const void *)(mask_words + 8 - (n)))

#define LOAD(p)		    _mm256_loadu_ps(p)
#define LOAD_MASK(p, m)	    _mm256_maskload_ps(p, m)
#define STORE(p, v)	    _mm256_storeu_ps(p, v)
#define STORE_MASK(p, v, m) _mm256_maskstore_ps(p, m, v)
#define ZERO()		    _mm256_setzero_ps()
#define SPLAT(p)	    _mm256_broadcast_ss(p)
#define FMA(a, b, c)	    _mm256_fmadd_ps(a, b, c)
#define CANONICAL(v)                                                            \
	_mm256_blendv_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)), \
			 _mm256_cmp_ps(v, v, _CMP_UNORD_Q))
#define MR     6
#define UNROLL _Pragma("GCC unroll 16")

#include "tile_template.h"
#include "row_template.h"
#include "transpose_x86.h"

KERNELS(avx2);

#else
typedef int igrad_no_avx2;
#endif
