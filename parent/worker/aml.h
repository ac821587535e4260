/* SPDX-License-Identifier: MIT */
/*
 * A writer of AML, the byte code of ACPI tables: just the terms that the DSDT
 * of a child needs. Bytes beyond the buffer are dropped and `overflow` is set, so
 * callers check once at the end.
 */
#ifndef PARENT_WORKER_AML_H
#define PARENT_WORKER_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bh_aml {
    uint8_t *data;
    size_t size;
    size_t used;
    bool overflow;
};

/* Plain little-endian numbers of `bytes` bytes. */
void bh_aml_raw(struct bh_aml *aml, uint64_t value, unsigned bytes);

/*
 * A term with a package length: `begin` writes the opcode (one or two bytes, as in
 * 0x5b82) and returns a mark for `end`. Terms have at most 4,095 bytes.
 */
size_t bh_aml_begin(struct bh_aml *aml, unsigned opcode);
void bh_aml_end(struct bh_aml *aml, size_t mark);

/* Scope(name), Device(name), to be ended. A name has four characters; "\\_SB_" is the root's. */
size_t bh_aml_scope(struct bh_aml *aml, const char *name);
size_t bh_aml_device(struct bh_aml *aml, const char *name);

/* Name(name, value) */
void bh_aml_name_integer(struct bh_aml *aml, const char *name, uint64_t value);
void bh_aml_name_string(struct bh_aml *aml, const char *name, const char *text);
/* A _HID such as "PNP0501", compressed. */
void bh_aml_name_eisa(struct bh_aml *aml, const char *name, const char *id);
/* Package of `count` integers. */
void bh_aml_name_package(struct bh_aml *aml, const char *name, const uint8_t *values,
                         unsigned count);

/* Name(_CRS, ResourceTemplate() {...}): descriptors come between begin and end. */
struct bh_aml_resources {
    size_t buffer;
    size_t length_at;
};
struct bh_aml_resources bh_aml_resources_begin(struct bh_aml *aml);
void bh_aml_resources_end(struct bh_aml *aml, struct bh_aml_resources mark);

/* A window of memory that the device hands to its children: fixed at [base, base + size). */
void bh_aml_memory_window(struct bh_aml *aml, uint64_t base, uint64_t size);
void bh_aml_io_ports(struct bh_aml *aml, uint16_t base, uint8_t count);
/* Edge-triggered, active high, exclusive. */
void bh_aml_interrupt(struct bh_aml *aml, unsigned irq);

#endif
