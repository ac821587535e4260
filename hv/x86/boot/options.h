/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's command line:
 *
 *   console=com1|com2|0xPORT|none   serial port for messages        (com1)
 *   loglevel=error|warning|info|debug   what is shown on it         (info)
 *   lps=N                           use at most N processors        (all)
 *   parent_memory=SIZE[K|M|G]       RAM the parent gets             (all but the hypervisor's)
 *
 * Options are separated by spaces. An unknown or malformed one stops the boot,
 * because a typing error must not silently start another system than asked for.
 */
#ifndef HV_X86_BOOT_OPTIONS_H
#define HV_X86_BOOT_OPTIONS_H

#include "hv/core/log.h"

struct options {
    uint16_t console_port;
    enum log_level log_level;
    uint32_t lps;           /* 0 = all */
    uint64_t parent_memory; /* bytes, 0 = all */
};

#define OPTIONS_ERROR_SIZE 160

/* False: `error` holds a sentence that names the option and what it may be. */
bool options_parse(const char *command_line, struct options *options,
                   char error[OPTIONS_ERROR_SIZE]);

#endif
