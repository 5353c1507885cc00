/* SPDX-License-Identifier: MIT */
/*
 * What igrad-train does, by a CPU with OpenBLAS: steps of plain SGD on a perceptron of the same
 * layers. The data are made up, for they change nothing of the time.
 * usage: mlp BATCH STEPS WIDTH WIDTH...    prints the seconds of a step
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MOST_LAYERS 8

static int layers, batch;
static int width[MOST_LAYERS + 1];
static float *w[MOST_LAYERS], *bias[MOST_LAYERS], *y[MOST_LAYERS + 1], *dy[MOST_LAYERS + 1];
static int *label;

static float *matrix(int n)
{
	float *m = malloc(n * sizeof(*m));

	if (!m)
		exit(1);
	for (int i = 0; i < n; i++)
		m[i] = (rand() % 2001 - 1000) / 1000.0f / sqrtf(width[0]);
	return m;
}

static void forward(int l)
{
	const int in = width[l], out = width[l + 1];

	for (int i = 0; i < batch; i++)
		for (int j = 0; j < out; j++)
			y[l + 1][i * out + j] = bias[l][j];
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, batch, out, in, 1, y[l], in, w[l],
		    out, 1, y[l + 1], out);
	for (int i = 0; l + 1 < layers && i < batch * out; i++)
		y[l + 1][i] = fmaxf(y[l + 1][i], 0);
}

static void loss(void)
{
	const int n = width[layers];

	for (int i = 0; i < batch; i++) {
		const float *a = y[layers] + i * n;
		float *d = dy[layers] + i * n, max = a[0], sum = 0;

		for (int j = 1; j < n; j++)
			max = fmaxf(max, a[j]);
		for (int j = 0; j < n; j++)
			sum += d[j] = expf(a[j] - max);
		for (int j = 0; j < n; j++)
			d[j] = (d[j] / sum - (j == label[i])) / batch;
	}
}

static void backward(int l, float lr)
{
	const int in = width[l], out = width[l + 1];

	if (l) {
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, batch, in, out, 1, dy[l + 1],
			    out, w[l], out, 0, dy[l], in);
		for (int i = 0; i < batch * in; i++)
			dy[l][i] = y[l][i] > 0 ? dy[l][i] : 0;
	}
	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, in, out, batch, -lr, y[l], in,
		    dy[l + 1], out, 1, w[l], out);
	for (int i = 0; i < batch; i++)
		for (int j = 0; j < out; j++)
			bias[l][j] -= lr * dy[l + 1][i * out + j];
}

static void step(void)
{
	for (int l = 0; l < layers; l++)
		forward(l);
	loss();
	for (int l = layers - 1; l >= 0; l--)
		backward(l, 0.01f);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	int steps;
	double start;

	if (argc < 5 || argc > 4 + MOST_LAYERS)
		return 2;
	batch = atoi(argv[1]);
	steps = atoi(argv[2]);
	layers = argc - 4;
	for (int l = 0; l <= layers; l++) {
		width[l] = atoi(argv[3 + l]);
		y[l] = matrix(batch * width[l]);
		dy[l] = matrix(batch * width[l]);
	}
	for (int l = 0; l < layers; l++) {
		w[l] = matrix(width[l] * width[l + 1]);
		bias[l] = matrix(width[l + 1]);
	}
	label = calloc(batch, sizeof(*label));
	if (!label)
		return 1;
	for (int i = 0; i < batch; i++)
		label[i] = rand() % width[layers];
	step();
	start = now();
	for (int i = 0; i < steps; i++)
		step();
	printf("%.9f\n", (now() - start) / steps);
	return isfinite(w[0][0]) ? 0 : 1;
}
