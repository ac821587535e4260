/* SPDX-License-Identifier: MIT */
/* A message that waits does not ask for the end of the one before. */
#include "hv/abi/synic.h"

/* No flag of a slot is ever set. */
#undef HV_MESSAGE_FLAG_PENDING
#define HV_MESSAGE_FLAG_PENDING 0u
#include "hv/core/synic.c"
