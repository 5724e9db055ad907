// SPDX-License-Identifier: MIT
#include "order.h"

void hm_order_init(struct hm_order *order, int kind, uint64_t units, uint64_t unit_bytes, uint64_t stride_bytes,
		   uint64_t seed)
{
	unsigned int bits = 1;

	while (bits < 63 && (UINT64_C(1) << bits) < units)
		bits++;
	*order = (struct hm_order){
		.kind = kind,
		.units = units,
		.unit_bytes = unit_bytes,
		.stride = stride_bytes / unit_bytes ? stride_bytes / unit_bytes : 1,
		.mask = (UINT64_C(1) << bits) - 1,
		.shift = (bits + 1) / 2,
		.key = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15),
	};
}

/* Each step can be undone within k bits, so the whole is a bijection. */
static inline uint64_t scramble(const struct hm_order *order, uint64_t x)
{
	x = (x + order->key) * UINT64_C(0xd6e8feb86659fd93) & order->mask;
	x ^= x >> order->shift;
	x = (x ^ (order->key >> 17 & order->mask)) * UINT64_C(0xbf58476d1ce4e5b9) & order->mask;
	x ^= x >> order->shift;
	x = x * UINT64_C(0x94d049bb133111eb) & order->mask;
	return x ^ x >> order->shift;
}

static unsigned int next_random(const struct hm_order *order, struct hm_cursor *cursor, uint64_t *offsets,
				unsigned int capacity)
{
	unsigned int count = 0;

	/* No branch on what lies beyond: it could not be foretold, and would stall the loads behind it. */
	while (count < capacity && cursor->at <= order->mask) {
		uint64_t unit = scramble(order, cursor->at++);

		offsets[count] = unit * order->unit_bytes;
		count += unit < order->units;
	}
	return count;
}

static unsigned int next_strided(const struct hm_order *order, struct hm_cursor *cursor, uint64_t *offsets,
				 unsigned int capacity)
{
	unsigned int count = 0;

	while (count < capacity && cursor->start < order->stride) {
		if (cursor->at < order->units) {
			offsets[count++] = cursor->at * order->unit_bytes;
			cursor->at += order->stride;
		} else {
			cursor->at = ++cursor->start;
		}
	}
	return count;
}

unsigned int hm_order_next(const struct hm_order *order, struct hm_cursor *cursor, uint64_t *offsets,
			   unsigned int capacity)
{
	unsigned int count = 0;

	if (order->kind == HM_RANDOM_LINES || order->kind == HM_RANDOM_GRANULES)
		return next_random(order, cursor, offsets, capacity);
	if (order->kind == HM_STRIDED)
		return next_strided(order, cursor, offsets, capacity);
	while (count < capacity && cursor->at < order->units)
		offsets[count++] = cursor->at++ * order->unit_bytes;
	return count;
}
