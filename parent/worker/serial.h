/* SPDX-License-Identifier: MIT */
/*
 * A 16550A serial port with 16-byte FIFOs. Output leaves at once, so the
 * transmitter is always empty. Not thread-safe: the caller holds its own lock
 * around every function, and the callbacks run under it.
 */
#ifndef PARENT_WORKER_SERIAL_H
#define PARENT_WORKER_SERIAL_H

#include <stddef.h>

#include "parent/worker/bus.h"

#define BH_SERIAL_PORTS 8u
#define BH_SERIAL_FIFO  16u

struct bh_serial_host {
    void (*output)(void *context, uint8_t byte);
    void (*interrupt)(void *context, bool level); /* called on changes only */
    void (*input_wanted)(void *context);          /* there is room again; may be NULL */
    void *context;
};

struct bh_serial {
    struct bh_serial_host host;
    uint16_t divisor;
    uint8_t ier, lcr, mcr, scr;
    uint8_t fifo_control;
    bool overrun;
    bool transmit_pending; /* "transmitter empty" waits to be seen */
    bool line;             /* level of the interrupt */
    uint8_t fifo[BH_SERIAL_FIFO];
    unsigned first, count;
};

void bh_serial_init(struct bh_serial *serial, const struct bh_serial_host *host);

/* Gives bytes to the guest; returns how many there was room for. */
size_t bh_serial_input(struct bh_serial *serial, const uint8_t *data, size_t length);

/* The device for eight ports. */
struct bh_bus_device bh_serial_device(struct bh_serial *serial);

#endif
