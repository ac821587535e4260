/* SPDX-License-Identifier: MIT */
/* Fifteen bytes of the instruction are read. */
#include "hv/core/guest_walk.h"

#define guest_fetch(partition, paging, address, bytes, size) \
    guest_fetch(partition, paging, address, bytes, (size)-1)
#include "hv/x86/svm/svm_child.c"
