/* SPDX-License-Identifier: MIT */
/*
 * Names of the hypervisor's functions, for back-traces. The build links twice:
 * the first image's symbol table becomes the section .symbols of the second.
 */
#ifndef HV_X86_SYMBOLS_H
#define HV_X86_SYMBOLS_H

#include "hv/core/types.h"

/* The function that holds `address` and how far into it; NULL if none does. */
const char *symbol_find(uint64_t address, uint64_t *offset);

#endif
