/* SPDX-License-Identifier: MIT */
/*
 * A child of one VP in real mode with 2 MiB of memory, whose code begins at CODE and stops by OUT.
 * Whatever is not as it should be ends the program with a line that says so.
 */
#ifndef TESTS_SYSTEM_GUEST_STATE_CHILD_H
#define TESTS_SYSTEM_GUEST_STATE_CHILD_H

#include <stdbool.h>
#include <stddef.h>

#include "hv/abi/synic.h"
#include "hv/abi/vp.h"
#include "parent/driver/uapi/mshv.h"

#define LARGE_PAGE  0x200000ul
#define CODE        0x1000u
#define PORT_MIDDLE 0x81
#define PORT_END    0x80
#define CR4_OSFXSR  0x200u
#define STACK       0x3000u

struct child {
    int partition, vp;
    unsigned char *area, *memory;
    struct hv_message message;
};

extern int node; /* /dev/mshv */

_Noreturn void fail(const char *what);
void expect(bool ok, const char *what);
/* An ioctl that succeeds. */
int call(int file, unsigned long command, void *argument, const char *what);

void create(struct child *child, const unsigned char *code, size_t size);
void destroy(struct child *child);
/* Up to the next OUT, and over it: its port. */
unsigned run(struct child *child);

/* The hypervisor's status. */
int set_register(const struct child *child, unsigned name, union hv_register_value value);
int set_scalar(const struct child *child, unsigned name, unsigned long value);
union hv_register_value get_register(const struct child *child, unsigned name);

/* Tests of intercept.c. */
void test_msr(void);
void test_cpuid(void);
void test_exceptions(void);
void test_calls(void);

#endif
