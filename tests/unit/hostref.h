/* SPDX-License-Identifier: MIT */
/*
 * Training with plain loops of fmaf(), after the manual and nothing else: it shares no code with
 * the device, the command buffers or the scheduler, and is what their results are held to, bit for
 * bit. All matrices are row-major and contiguous; B batch rows, I in-features, O out-features.
 */
#ifndef HOSTREF_H
#define HOSTREF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ref_shape {
	size_t B, I, O;
};

struct ref_optimizer {
	float lr;
	float momentum;
	float decay;
	bool use_momentum;
	bool use_adam;
	float beta1;
	float beta2;
	float epsilon;
};

/* to bf16 and back: nearest, to even; NaN is canonical */
void ref_round(size_t n, float *values);
/* a rounded copy, for free() */
float *ref_rounded(size_t n, const float *values);

float ref_exp(float x);
float ref_log(float x);

/* y = x·w + b, and ReLU; b may be NULL */
void ref_forward(struct ref_shape s, const float *x, const float *w, const float *b, bool relu,
		 float *y);
/* dy = 0 where the layer's output y was not positive */
void ref_relu_grad(size_t n, const float *y, float *dy);
void ref_dgrad(struct ref_shape s, const float *dy, const float *w, float *dx);
void ref_wgrad(struct ref_shape s, const float *x, const float *dy, float *dw);
void ref_bgrad(struct ref_shape s, const float *dy, float *db);
/* the velocities of weights and biases: round(momentum·v), to which each batch row is then added */
void ref_velocity(struct ref_shape s, const struct ref_optimizer *opt, const float *x,
		  const float *dy, float *v);
void ref_bias_velocity(struct ref_shape s, const struct ref_optimizer *opt, const float *dy,
		       float *v);
/* w is moved by -lr·step: a gradient, or with momentum a velocity */
void ref_update(size_t n, const struct ref_optimizer *opt, const float *step, float *w);
/* Adam's constants, in the manual's order: β1, 1 − β1, β2, 1 − β2, η, ε, keep */
#define REF_ADAM_CONSTANTS 7
/* those of step @step, from 1 */
void ref_adam_constants(const struct ref_optimizer *opt, uint32_t step,
			float constants[REF_ADAM_CONSTANTS]);
/* w and its moments m and v are moved by the gradient g */
void ref_adam(size_t n, const float constants[REF_ADAM_CONSTANTS], bool decay, const float *g,
	      float *m, float *v, float *w);
/* losses and dlogits of B rows of O classes */
void ref_softmax_xent(size_t B, size_t O, const float *logits, const uint32_t *labels, float scale,
		      float *dlogits, float *losses);

#endif /* HOSTREF_H */
