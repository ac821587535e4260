/* SPDX-License-Identifier: MIT */
/* Ports and text output of the test kernels. They have no library and no interrupts by devices. */
#ifndef TESTS_SYSTEM_GUEST_KERNEL_PORT_H
#define TESTS_SYSTEM_GUEST_KERNEL_PORT_H

#include <stdint.h>

#define PORT_SERIAL     0x3f8
#define PORT_DEBUG_EXIT 0xf4

static inline void port_write8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void port_write32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline void print(const char *text)
{
    for (; *text != '\0'; text++)
        port_write8(PORT_SERIAL, (uint8_t)*text);
}

static inline void print_number(uint64_t number)
{
    print("0x");
    for (int shift = 60; shift >= 0; shift -= 4)
        if (number >> shift != 0 || shift == 0)
            port_write8(PORT_SERIAL, (uint8_t) "0123456789abcdef"[number >> shift & 15]);
}

static inline void print_value(const char *name, uint64_t number)
{
    print(name);
    print(" ");
    print_number(number);
    print("\n");
}

/* Ends the VM; the worker tells the value. */
__attribute__((noreturn)) static inline void debug_exit(uint32_t value)
{
    for (;;)
        port_write32(PORT_DEBUG_EXIT, value);
}

#endif
