/* SPDX-License-Identifier: MIT */
/* Does what no guest can run on from; the last character of its command line says which. */
#include "tests/system/guest/kernel/port.h"
#include "tests/system/guest/kernel/pvh.h"

#define IOAPIC  0xfec00000u
#define NOTHING 0x80000000u /* above the RAM of a test guest, and no device */

void kernel_main(const struct pvh_information *information);

static void jump(uint32_t to)
{
    __asm__ volatile("jmp *%0" : : "r"((uint64_t)to));
}

static char last_character(uint64_t text)
{
    const char *at = (const char *)text;
    char last = 0;

    while (*at != '\0')
        last = *at++;
    return last;
}

void kernel_main(const struct pvh_information *information)
{
    print("about to fault\n");
    switch (last_character(information->command_line)) {
    case 'd':
        jump(IOAPIC);
        break;
    case 'n':
        jump(NOTHING);
        break;
    case 'i':
        __asm__ volatile("lock cmpxchg8b (%0)" : : "r"((uint64_t)IOAPIC) : "memory", "cc");
        break;
    default:
        break;
    }
    debug_exit(1); /* it has run on */
}
