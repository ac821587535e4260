/* SPDX-License-Identifier: MIT */
/*
 * The serial console: keeps the newest output, gives it to any number of
 * readers, and collects their input. Output comes from VP threads, everything
 * else runs in the event loop. A reader that falls more than the kept output
 * behind is closed.
 */
#ifndef PARENT_WORKER_CONSOLE_H
#define PARENT_WORKER_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bh_console;

#define BH_CONSOLE_KEPT 1048576u /* bytes of output; a power of two */

/*
 * `input` takes bytes for the guest and returns how many it took. `kept` has BH_CONSOLE_KEPT bytes,
 * the last of `end` that were put out so far. NULL without memory or files.
 */
struct bh_console *bh_console_create(size_t (*input)(void *context, const uint8_t *data,
                                                     size_t length),
                                     void *context, uint8_t *kept, uint64_t end);
void bh_console_destroy(struct bh_console *console);

/* Readable when there is something to do; then call `serve`. */
int bh_console_fd(const struct bh_console *console);
void bh_console_serve(struct bh_console *console);

/* From any thread. */
void bh_console_output(struct bh_console *console, uint8_t byte);
void bh_console_input_wanted(struct bh_console *console);

struct bh_console_replay {
    uint64_t position; /* of its first byte in all output of this worker */
    size_t bytes;
};

/* A new reader: its end of a socket, or -1 with errno. It begins up to `replay_bytes` back. */
int bh_console_attach(struct bh_console *console, size_t replay_bytes,
                      struct bh_console_replay *replay);

struct bh_console_stats {
    uint64_t out_bytes;
    uint64_t in_bytes;
};
struct bh_console_stats bh_console_get_stats(struct bh_console *console);

#endif
