/* SPDX-License-Identifier: MIT */
/* The serial console at 0x3f8, and the ways to end. */
#ifndef VSC_GUEST_CONSOLE_H
#define VSC_GUEST_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

void say(const char *text);
void say_number(uint64_t number);
void say_hex(uint64_t number);

/* A result: `NAME VALUE UNIT`, of a value in thousandths when `thousandths` is set. */
void say_figure(const char *name, const char *what, uint64_t value, const char *unit);
void say_ratio(const char *name, const char *what, uint64_t value, uint64_t by, const char *unit);

/* True when a byte came; it is taken. */
bool console_heard(void);

/* Ends the VM: a test that failed, by the debug port with 1; all well, with 0; or by ACPI. */
_Noreturn void guest_fail(const char *test, const char *why);
_Noreturn void end_well(void);
_Noreturn void power_off(void);

#endif
