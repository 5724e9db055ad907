#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# sparse for kernels newer than it: 0.6.4 knows neither __typeof_unqual__ (used
# by the kernel since 6.15) nor how to fold __builtin_strlen() of a literal (in
# MODULE_INFO() of 7.x).  Neither changes what is checked.
exec "${SPARSE:-sparse}" -D__typeof_unqual__=__typeof__ \
	'-D__builtin_strlen(s)=(sizeof(s) - 1)' "$@"
