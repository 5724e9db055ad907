/* SPDX-License-Identifier: MIT */
#ifndef HMEXP_CORE_H
#define HMEXP_CORE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "declarations.h"

#endif
