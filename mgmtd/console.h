/* SPDX-License-Identifier: MIT */
/*
 * The scrollback of a console: the newest output of a VM on disk, addressed by
 * byte offsets counted from its first output ever. It is kept in segment files
 * whose names are the offsets they begin at, so offsets survive a restart of
 * the daemon; the oldest segment goes when more than `limit` bytes are kept.
 * Any thread may call; each console has a lock of its own.
 */
#ifndef MGMTD_CONSOLE_H
#define MGMTD_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct console;

struct console_span {
    uint64_t oldest; /* offset of the oldest byte kept */
    uint64_t end;    /* offset behind the newest */
    uint64_t first;  /* offset of the first byte that was read */
};

/* The directory is made when it is not there. NULL on failure. */
struct console *console_open(const char *directory, uint64_t limit);

/* One more holder, who closes it too; the last one frees it. NULL stays NULL. */
struct console *console_hold(struct console *console);
void console_close(struct console *console);
void console_set_limit(struct console *console, uint64_t limit);

/* False when the disk refuses; the bytes are then lost, the offsets go on. */
bool console_append(struct console *console, const void *bytes, size_t size);

/* `size` bytes of the guest's output are lost; the offsets go on behind them. */
void console_leave_gap(struct console *console, uint64_t size);

/* Reads from `offset`, or from the oldest byte when that is later. 0 at the end; -1 on failure. */
ssize_t console_read(struct console *console, uint64_t offset, void *bytes, size_t size,
                     struct console_span *span);

/* The offset behind the newest byte. */
uint64_t console_end(struct console *console);

/* Removes the files of a VM that is gone. */
void console_remove(const char *directory);

#endif
