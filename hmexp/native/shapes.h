/* SPDX-License-Identifier: MIT */
/* Shapes: other ways of walking than the plain loop, for the same loads and stores. */
#ifndef HMEXP_SHAPES_H
#define HMEXP_SHAPES_H

#include "core.h"

/*
 * Whole blocks from the streams' start; a block is the shape's places times @distance, and for one place any
 * number of lines.
 */
typedef uint64_t (*hm_shaped)(char *const *streams, uint64_t bytes, uint64_t value, uint64_t distance);

/* NULL in @shaped for the plain shape, 0. -EINVAL: no such shape; -EOPNOTSUPP: not of this operation. */
int hm_choose_shape(hm_shaped *shaped, int operation, int bits, int shape);

#endif
