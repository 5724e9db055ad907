// SPDX-License-Identifier: MIT
#include "operation_list.h"
#include "operations.h"
#include "prefetch.h"
#include "shapes.h"

/* How far shapes prefetch [bytes]. */
#define FAR_AHEAD	1024

/* name, places, lines a turn, prefetch of loads, prefetch for stores. The plain loop comes before them. */
#define SHAPES(X, ...)						\
	X(line, 1, 1, 0, 0, __VA_ARGS__)			\
	X(single, 1, 4, 0, 0, __VA_ARGS__)			\
	X(ahead, 1, 4, FAR_AHEAD, 0, __VA_ARGS__)		\
	X(places2, 2, 1, 0, 0, __VA_ARGS__)			\
	X(places4, 4, 1, 0, 0, __VA_ARGS__)			\
	X(places4x2, 4, 2, 0, 0, __VA_ARGS__)			\
	X(places4x4, 4, 4, 0, 0, __VA_ARGS__)			\
	X(places4w, 4, 1, 0, FAR_AHEAD, __VA_ARGS__)

/*
 * A prefetch needs something to prefetch; that for stores is of use where whole lines are written in step. In
 * plain C the sums or factors of loads beside stores take the registers that several places need.
 */
#define ABLE(places, ahead, write_ahead, kind, reads, writes, nontemporal)				\
	((!(ahead) || (reads)) && (!(write_ahead) || (!(nontemporal) && ((kind) == KIND_COPY || !(reads)))) &&	\
	 (BITS > 64 || (places) == 1 || (kind) == KIND_COPY || !(reads) || !(writes)))

#define DESCRIBE(name, places, lines, ahead, write_ahead, ...) { #name, places, lines, ahead, write_ahead },

static const struct hm_shape shapes[] = { { "plain", 1, 1, 0, 0 }, SHAPES(DESCRIBE, 0) };

#define COUNT(array)	((int)(sizeof(array) / sizeof((array)[0])))
#define SHAPE_COUNT	(sizeof(shapes) / sizeof(shapes[0]) - 1)

#define TEMPLATE "shapes_template.h"
#include "widths.h"

int hm_shape_count(void)
{
	return COUNT(shapes);
}

const struct hm_shape *hm_shape(int shape)
{
	return shape >= 0 && shape < COUNT(shapes) ? &shapes[shape] : NULL;
}

int hm_choose_shape(hm_shaped *shaped, int operation, int bits, int shape)
{
	struct hm_loops loops;
	int ret = hm_choose_loops(&loops, operation, bits);

	*shaped = NULL;
	if (ret)
		return ret;
	if (!hm_shape(shape))
		return -EINVAL;
	if (!shape)
		return 0;
	switch (bits) {
#if defined(__x86_64__)
	case 512:
		*shaped = shaped_512[operation][shape - 1];
		break;
	case 256:
		*shaped = shaped_256[operation][shape - 1];
		break;
#endif
#if defined(__x86_64__) || defined(__aarch64__)
	case 128:
		*shaped = shaped_128[operation][shape - 1];
		break;
#endif
	default:
		*shaped = shaped_64[operation][shape - 1];
	}
	return *shaped ? 0 : -EOPNOTSUPP;
}

int hm_shape_able(int operation, int bits, int shape)
{
	hm_shaped shaped;

	return hm_choose_shape(&shaped, operation, bits, shape);
}
