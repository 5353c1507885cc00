/* SPDX-License-Identifier: MIT */
/*
 * Rounding to nearest and subnormals kept, whatever the calling thread has set. Reading the mode is
 * cheap and it is nearly always right, so it is changed only when it is not.
 */
#ifndef IGRAD_FPMODE_H
#define IGRAD_FPMODE_H

#include <float.h>

#if FLT_EVAL_METHOD != 0
#error "the igrad device core needs float arithmetic that rounds to float"
#endif

#if defined(__x86_64__)

#include <xmmintrin.h>

/* Rounding, flush to zero, subnormals are zero. */
#define IGRAD_MXCSR_MODE (0x6000u | 0x8000u | 0x0040u)

typedef unsigned int igrad_fpmode;

static inline igrad_fpmode igrad_fpmode_enter(void)
{
	const unsigned int callers = _mm_getcsr();

	if (callers & IGRAD_MXCSR_MODE)
		_mm_setcsr(callers & ~IGRAD_MXCSR_MODE);
	return callers & IGRAD_MXCSR_MODE;
}

static inline void igrad_fpmode_leave(igrad_fpmode callers)
{
	if (callers)
		_mm_setcsr(_mm_getcsr() | callers);
}

#else

#include <fenv.h>

typedef fenv_t igrad_fpmode;

static inline igrad_fpmode igrad_fpmode_enter(void)
{
	fenv_t callers;

	fegetenv(&callers);
	fesetenv(FE_DFL_ENV);
	return callers;
}

static inline void igrad_fpmode_leave(igrad_fpmode callers)
{
	fesetenv(&callers);
}

#endif

#endif /* IGRAD_FPMODE_H */
