/* SPDX-License-Identifier: MIT */
/* What else happened to a thread while it took a sample. */
#ifndef HMEXP_NOISE_H
#define HMEXP_NOISE_H

#include "core.h"

struct hm_noise {
	int64_t start_ns;
	int64_t cpu_ns;
	int64_t preempted;
	int64_t stolen_ns;
	int cpu;
};

/* What takes a while, before the threads start together. */
void hm_sample_prepare(struct hm_noise *noise);
/* The sample's clock is read last by the first, and first by the second. */
void hm_sample_begin(struct hm_noise *noise);
void hm_sample_end(const struct hm_noise *noise, struct hm_sample *sample);

#endif
