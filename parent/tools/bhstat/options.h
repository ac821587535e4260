/* SPDX-License-Identifier: MIT */
/* The command line of bhstat. */
#ifndef PARENT_TOOLS_BHSTAT_OPTIONS_H
#define PARENT_TOOLS_BHSTAT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum bhstat_mode { BHSTAT_LIVE, BHSTAT_LOG, BHSTAT_HELP, BHSTAT_VERSION };

struct bhstat_options {
    enum bhstat_mode mode;
    bool json;
    bool follow;
    uint32_t interval_ms;
    uint64_t count; /* reports; 0 = until interrupted */
};

extern const char bhstat_usage[];

/* Writes a sentence about what is wrong to `error` and returns false. */
bool bhstat_options_parse(int argc, char *const argv[], struct bhstat_options *options,
                          char error[256]);

#endif
