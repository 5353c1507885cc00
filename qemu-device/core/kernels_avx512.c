/* SPDX-License-Identifier: MIT */
#include "kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,fma")))

#define VEC	   __m512
#define LANES	   16
#define MASK	   __mmask16
#define MASK_OF(n) ((__mmask16)((1u << (n)) - 1))

#define LOAD(p)		    _mm512_loadu_ps(p)
#define LOAD_MASK(p, m)	    _mm512_maskz_loadu_ps(m, p)
#define STORE(p, v)	    _mm512_storeu_ps(p, v)
#define STORE_MASK(p, v, m) _mm512_mask_storeu_ps(p, m, v)
#define ZERO()		    _mm512_setzero_ps()
#define SPLAT(p)	    _mm512_set1_ps(*(p))
#define FMA(a, b, c)	    _mm512_fmadd_ps(a, b, c)
#define CANONICAL(v)                                                  \
	_mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), \
			   _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000)))
#define MR     12
#define UNROLL _Pragma("GCC unroll 16")

#include "tile_template.h"
#include "row_template.h"
#include "transpose_x86.h"

KERNELS(avx512);

#else
typedef int igrad_no_avx512;
#endif
