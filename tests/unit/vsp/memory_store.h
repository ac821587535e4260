/* SPDX-License-Identifier: MIT */
/* A store in memory, for fuzzers: it checks what a store may rely on. */
#ifndef TESTS_UNIT_VSP_MEMORY_STORE_H
#define TESTS_UNIT_VSP_MEMORY_STORE_H

#include "vsp/storage/store.h"

#define MEMORY_STORE_SIZE (1u << 20)

/* The one store there is; zeroed. Each `fail_every`th operation fails; 0: none. */
struct bh_store *memory_store(bool read_only, unsigned fail_every);

#endif
