/* SPDX-License-Identifier: MIT */
/* What a client likes to get: the header Accept, RFC 9110 section 12.5.1. */
#ifndef BULKHEAD_API_ACCEPT_H
#define BULKHEAD_API_ACCEPT_H

#include <stddef.h>

/*
 * The index of the media type that the header wants most, or -1 when it wants none of them. A
 * type's quality is that of the most specific range that holds it; of equal qualities the type that
 * is named more specifically wins, then the earlier one. No header (NULL), or one without a range:
 * 0.
 */
int accept_choose(const char *accept, const char *const types[], size_t count);

#endif
