/* SPDX-License-Identifier: MIT */
/*
 * hv/arch.h for programs on the host: a small machine whose memory is an
 * array. A page can be touched through a window only (ASan knows), windows are
 * counted and must end in order; any breach ends the program.
 */
#ifndef TESTS_UNIT_HV_HOST_ARCH_H
#define TESTS_UNIT_HV_HOST_ARCH_H

#include "hv/core/types.h"

/* Pages 0 .. pages - 1 hold the byte fill. Replaces the memory there was before. */
void host_memory_init(frame_t pages, int fill);
void host_memory_free(void);

/* Whether all bytes of the page are this one. */
bool host_page_is(spa_t page, int byte);
void host_page_fill(spa_t page, int byte);

/*
 * All of it at once, for who keeps copies of the whole machine: readable and writable until it is
 * hidden again. No window is open meanwhile.
 */
void *host_memory_expose(void);
void host_memory_hide(void);

/* No window is open. */
bool host_windows_closed(void);

/*
 * Called each time a window has ended, unless NULL: what another processor could see then. It
 * may use windows itself.
 */
extern void (*host_window_hook)(void);

/* Which pages may be looked at through windows; NULL: all. */
extern bool (*host_window_allowed)(spa_t page);

#endif
