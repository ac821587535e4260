/* SPDX-License-Identifier: MIT */
/*
 * What must hold after anything a guest does, checked on the machine of host_machine.h. A breach
 * ends the program.
 */
#ifndef TESTS_FUZZ_HV_GUEST_RULES_H
#define TESTS_FUZZ_HV_GUEST_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* Marks the pages that are not the partition's. After host_machine_init. */
void rules_begin(void);

/* A level-triggered interrupt is raised: from now on its end is owed. */
void rules_level_raised(unsigned vp, uint8_t vector);
/* May the machine raise it? Not while the last one has not ended. */
bool rules_level_is_free(unsigned vp, uint8_t vector);

/*
 * Before and after a step that one VP takes. Of the other VPs only what is made to be reached
 * from everywhere may have changed; alone: is that asked of this step?
 */
void rules_before(unsigned vp);
void rules_after(unsigned vp, bool alone);

#endif
