/* SPDX-License-Identifier: MIT */
/* Matrices in device memory for tests: filled with what makes rounding and signs show. */
#ifndef MATRICES_H
#define MATRICES_H

#include "igrad/igrad.h"
#include "igrad/nn.h"

/* A matrix in a buffer of its own, with an offset and a pitch that @rng chooses. */
struct igrad_matrix matrix_new(struct igrad_device *device, struct igrad_rng *rng, uint32_t rows,
			       uint32_t cols);
/* The same with elements of @dtype; what is put there must be exact, and what is read is as fp32.
 */
struct igrad_matrix matrix_new_of(struct igrad_device *device, struct igrad_rng *rng, uint32_t rows,
				  uint32_t cols, enum igrad_element dtype);
void matrix_free(struct igrad_matrix *m);

/* Numbers around 1 of both signs, with some ±0, huge and tiny ones if @wild. */
void random_values(struct igrad_rng *rng, float *values, size_t n, bool wild);

/* Copy between a matrix and contiguous memory, which is allocated by matrix_get(). */
void matrix_put(const struct igrad_matrix *m, const float *values);
float *matrix_get(const struct igrad_matrix *m);

/* Fails the test, naming the first element that differs in its bits. */
void assert_matrix_is(const char *what, const struct igrad_matrix *m, const float *values);

/* Fails the test if anything around the matrix has been written. */
void assert_margins(const char *what, const struct igrad_matrix *m);

/* @low … @high */
uint32_t random_between(struct igrad_rng *rng, uint32_t low, uint32_t high);

#endif /* MATRICES_H */
