/* SPDX-License-Identifier: MIT */
/*
 * The image: a small identity-mapped part that the boot loader enters in
 * 32-bit mode, then everything else at HV_IMAGE_BASE plus its load address.
 */
#include "hv/x86/layout.h"

OUTPUT_FORMAT(elf64-x86-64)
ENTRY(boot_entry)

PHDRS
{
    boot PT_LOAD FLAGS(5);
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
}

SECTIONS
{
    . = HV_LOAD_ADDRESS;
    image_load_start = .;
    .boot : {
        KEEP(*(.boot.header))
        *(.boot.text)
    } :boot
    . = ALIGN(4096);

    . += HV_IMAGE_BASE;
    .text : AT(ADDR(.text) - HV_IMAGE_BASE) {
        image_text_start = .;
        *(.text .text.*)
        . = ALIGN(4096);
        image_text_end = .;
    } :text

    .rodata : AT(ADDR(.rodata) - HV_IMAGE_BASE) {
        *(.rodata .rodata.*)
        . = ALIGN(8);
        *(.symbols)
        . = ALIGN(4096);
        image_rodata_end = .;
    } :rodata

    .data : AT(ADDR(.data) - HV_IMAGE_BASE) {
        *(.data .data.*)
    } :data

    .bss : AT(ADDR(.bss) - HV_IMAGE_BASE) {
        *(.bss .bss.* COMMON)
        . = ALIGN(4096);
    } :data
    image_end = .;
    image_load_end = . - HV_IMAGE_BASE;

    /DISCARD/ : { *(.comment) *(.note*) *(.eh_frame*) }
}
