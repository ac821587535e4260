/* SPDX-License-Identifier: MIT */
/* The parent is not told that there is room again. */
#include "hv/core/intercept.h"

/* As intercept_tell_room, but silent. */
static void tell_nothing(struct vp *vp)
{
    (void)vp;
}

#define intercept_tell_room tell_nothing
#include "hv/core/synic.c"
