/* SPDX-License-Identifier: MIT */
/* What the guest is to do: words of its command line, `name=value`. */
#ifndef VSC_GUEST_OPTIONS_H
#define VSC_GUEST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    char tests[64];      /* tests=bus,storage,network,services,shutdown */
    uint32_t depth;      /* depth=32: requests or frames at a time in the second rows of figures */
    uint32_t size;       /* size=4096: bytes of a request */
    uint32_t requests;   /* requests=N: of each row of figures; 0: for `seconds` */
    uint32_t seconds;    /* seconds=1 */
    uint32_t channels;   /* channels=4 */
    uint32_t rounds;     /* rounds=1: so often data are written and verified over all channels */
    uint32_t lun;        /* lun=0: the disk that is written over */
    uint32_t sequential; /* sequential=1: one block after the other */
    uint32_t pause;      /* pause=MILLISECONDS around each row, for readers of counters */
    uint32_t wait;       /* wait=1: begins when a byte comes from the console */
    uint32_t address;    /* address=10.1.0.2 */
    uint32_t peer;       /* peer=10.1.0.1: who answers echo requests */
};

void options_read(struct options *options, const char *command_line);
bool options_wants(const struct options *options, const char *test);

#endif
