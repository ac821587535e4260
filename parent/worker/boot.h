/* SPDX-License-Identifier: MIT */
/*
 * Loading a kernel into a guest's empty RAM, and the state in which its first
 * VP begins. Three kinds of image: a Linux bzImage (by the 64-bit boot
 * protocol), an ELF with a PVH entry, and a Multiboot 1 kernel. Images come
 * from users: every number in them is checked before use, and what is wrong is
 * said in a sentence.
 */
#ifndef PARENT_WORKER_BOOT_H
#define PARENT_WORKER_BOOT_H

#include "hv/abi/vp.h"
#include "parent/worker/guest_memory.h"

struct bh_boot_image {
    const uint8_t *data;
    size_t size; /* 0: there is none */
};

struct bh_boot_input {
    struct bh_boot_image kernel;
    struct bh_boot_image unpacked; /* of a bzImage, when there is one: boots faster */
    struct bh_boot_image initrd;
    uint64_t entropy[2]; /* by which an unpacked kernel's place is chosen */
    const char *command_line;
    uint64_t rsdp; /* where the ACPI tables begin, GPA */
};

enum bh_boot_kind { BH_BOOT_LINUX, BH_BOOT_PVH, BH_BOOT_MULTIBOOT };

/* Registers of the first VP; those not here are zero, RFLAGS is 2. */
struct bh_boot_state {
    enum bh_boot_kind kind;
    uint64_t rip;
    uint64_t rax;
    uint64_t rbx;
    uint64_t rsi;
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    struct hv_segment_register code;
    struct hv_segment_register data; /* DS, ES, SS, FS, GS */
    struct hv_segment_register task;
    struct hv_table_register gdtr;
};

struct bh_boot_error {
    char text[256];
};

/* Fills `error` and returns false. */
bool bh_boot_refuse(struct bh_boot_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Finds out the kind and loads it. On failure guest memory may be partly written. */
bool bh_boot_load(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                  struct bh_boot_state *state, struct bh_boot_error *error);

#endif
