/* SPDX-License-Identifier: MIT */
/* Console on a 16550 serial port, shared politely with the parent: output only, polled. */
#ifndef HV_X86_CONSOLE_H
#define HV_X86_CONSOLE_H

#include "hv/core/types.h"

#define CONSOLE_PORT_NONE 0
#define CONSOLE_PORT_COM1 0x3f8
#define CONSOLE_PORT_COM2 0x2f8

/* Programs the port for 115200 baud, 8N1. CONSOLE_PORT_NONE silences the console. */
void console_init(uint16_t port);

#endif
