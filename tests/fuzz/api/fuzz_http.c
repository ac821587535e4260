/* SPDX-License-Identifier: MIT */
/*
 * Whole requests: headers, paths, bodies, raw on the UNIX socket of a real server.
 */
#include "api/log.h"
#include "tests/unit/api/fake.h"
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake fake;

static void stop(void)
{
    fake_stop(&fake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char answer[4096];
    if (!fake.server) {
        const struct api_limits limits = {.requests_per_second = UINT_MAX, .request_seconds = 5};
        log_set_level(LOG_LEVEL_ERROR);
        fake_start(&fake, &limits);
        atexit(stop);
    }
    int fd = fake_connect(&fake);
    if (send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size) {
        shutdown(fd, SHUT_WR);
        /* A stream stays open: take what comes at once. */
        struct pollfd poller = {fd, POLLIN, 0};
        for (int wait = 10; poll(&poller, 1, wait) == 1; wait = 2)
            if (recv(fd, answer, sizeof answer, 0) <= 0)
                break;
    }
    close(fd);
    return 0;
}
