/* SPDX-License-Identifier: MIT */
/*
 * Memory at chosen addresses below 4 GiB, for code that reads the machine's memory by its physical
 * addresses while they are mapped one to one. The page behind it can not be touched.
 */
#ifndef TESTS_UNIT_HV_LOW_MEMORY_H
#define TESTS_UNIT_HV_LOW_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed; both are multiples of the page size. Ends the program when the place is taken. */
void low_memory_map(uint64_t address, size_t size);
void low_memory_unmap(uint64_t address, size_t size);

void low_put(uint64_t address, uint64_t value, size_t size);
uint64_t low_get(uint64_t address, size_t size);

#endif
