/* SPDX-License-Identifier: MIT */
/* The serial console. A port that never gets ready loses output, never time without bound. */
#include "hv/x86/console.h"

#include "hv/arch.h"
#include "hv/x86/cpu.h"

enum { DATA = 0, INTERRUPTS = 1, FIFO = 2, LINE_CONTROL = 3, MODEM_CONTROL = 4, LINE_STATUS = 5 };
#define DIVISOR_LATCH  0x80
#define EIGHT_N_ONE    0x03
#define FIFO_ON        0x07
#define DTR_RTS        0x03
#define TRANSMIT_EMPTY 0x20
#define READY_TRIES    100000

static uint16_t console_port = CONSOLE_PORT_NONE;

void console_init(uint16_t port)
{
    console_port = port;
    if (port == CONSOLE_PORT_NONE)
        return;
    cpu_out8(port + INTERRUPTS, 0);
    cpu_out8(port + LINE_CONTROL, DIVISOR_LATCH);
    cpu_out8(port + DATA, 1);
    cpu_out8(port + INTERRUPTS, 0);
    cpu_out8(port + LINE_CONTROL, EIGHT_N_ONE);
    cpu_out8(port + FIFO, FIFO_ON);
    cpu_out8(port + MODEM_CONTROL, DTR_RTS);
}

static void put(char c)
{
    for (unsigned tries = 0; tries < READY_TRIES; tries++) {
        if (cpu_in8(console_port + LINE_STATUS) & TRANSMIT_EMPTY) {
            cpu_out8(console_port + DATA, (uint8_t)c);
            return;
        }
        cpu_pause();
    }
}

void arch_console_write(const char *text, size_t length)
{
    if (console_port == CONSOLE_PORT_NONE)
        return;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n')
            put('\r');
        put(text[i]);
    }
}
