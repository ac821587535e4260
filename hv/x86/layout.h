/* SPDX-License-Identifier: MIT */
/*
 * Where the hypervisor lives, in physical and in virtual memory. Shared by C,
 * assembly and the linker script, so only macros.
 *
 *   HV_IMAGE_BASE + spa    the image, 4 KiB pages: text r-x, rodata r--, data rw-
 *   HV_POOL_BASE + spa     the page pool and the frame table, and nothing else
 *   HV_STACK_BASE          one slot a stack, the lowest page of each unmapped
 *   HV_WINDOW_BASE         one slot an LP: pages mapped for a moment
 *   HV_DEVICE_BASE         the local APIC's registers
 *   HV_OBJECT_BASE         one slot a VP of a child: pages of its partition's pool
 *
 * Guest memory has no mapping but through the windows.
 */
#ifndef HV_X86_LAYOUT_H
#define HV_X86_LAYOUT_H

#define HV_LOAD_ADDRESS 0x200000

#define HV_IMAGE_BASE  0xffffffff80000000
#define HV_POOL_BASE   0xffff800000000000
#define HV_STACK_BASE  0xffff900000000000
#define HV_WINDOW_BASE 0xffff980000000000
#define HV_DEVICE_BASE 0xffffa00000000000
#define HV_OBJECT_BASE 0xffffa80000000000

#define HV_STACK_SLOT   0x10000 /* bytes of address space for each stack */
#define HV_STACK_SIZE   0x4000
#define HV_WINDOW_PAGES 8 /* for each LP */

#define HV_OBJECT_SLOT  0x10000 /* bytes of address space for each VP of a child */
#define HV_OBJECT_SLOTS 512

#define HV_MAX_LPS 64

/* Selectors of the hypervisor's own descriptor table. */
#define HV_CS  0x08
#define HV_DS  0x10
#define HV_TSS 0x18

#endif
