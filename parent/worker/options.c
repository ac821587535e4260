/* SPDX-License-Identifier: MIT */
#include "parent/worker/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define KERNEL_CACHE "/var/cache/bulkhead"

static const char usage[] =
    "Usage: bulkhead-worker --config FILE --control SOCKET [--start] [--user UID --group GID]\n"
    "\n"
    "Runs one virtual machine of the Bulkhead hypervisor.\n"
    "\n"
    "  --config FILE     the VM's configuration, JSON\n"
    "  --control SOCKET  where the worker listens for requests\n"
    "  --start           start the VM at once, without waiting for a request\n"
    "  --user UID, --group GID\n"
    "                    become this user and group (numbers) before the guest runs\n"
    "  --keep            a worker that is killed or falls is started again, and its guest goes on\n"
    "  --kernel-cache FOLDER\n"
    "                    where unpacked kernels are kept (" KERNEL_CACHE "), or \"\" for none\n"
    "  --help, --version\n";

static bool parse_id(const char *text, long *id)
{
    char *end;

    errno = 0;
    *id = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *id > 0 && *id < 65535;
}

enum {
    OPTION_CONFIG = 256,
    OPTION_CONTROL,
    OPTION_START,
    OPTION_USER,
    OPTION_GROUP,
    OPTION_KERNEL_CACHE,
    OPTION_KEEP,
    OPTION_KEPT /* the keeper's own */
};

static const struct option option_names[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"control", required_argument, NULL, OPTION_CONTROL},
    {"start", no_argument, NULL, OPTION_START},
    {"user", required_argument, NULL, OPTION_USER},
    {"group", required_argument, NULL, OPTION_GROUP},
    {"kernel-cache", required_argument, NULL, OPTION_KERNEL_CACHE},
    {"keep", no_argument, NULL, OPTION_KEEP},
    {"kept", required_argument, NULL, OPTION_KEPT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {NULL, 0, NULL, 0},
};

static bool apply(int option, struct bh_worker_options *options)
{
    switch (option) {
    case OPTION_CONFIG:
        options->config = optarg;
        return true;
    case OPTION_CONTROL:
        options->control = optarg;
        return true;
    case OPTION_START:
        options->start = true;
        return true;
    case OPTION_KEEP:
        options->keep = true;
        return true;
    case OPTION_KEPT:
        options->kept = (int)strtol(optarg, NULL, 10);
        return true;
    case OPTION_KERNEL_CACHE:
        options->kernel_cache = optarg;
        return true;
    case OPTION_USER:
        return parse_id(optarg, &options->sandbox.user);
    case OPTION_GROUP:
        return parse_id(optarg, &options->sandbox.group);
    default:
        return false;
    }
}

void bh_worker_options_parse(int argc, char **argv, struct bh_worker_options *options)
{
    int option;

    *options = (struct bh_worker_options){.kernel_cache = KERNEL_CACHE, .kept = -1};
    while ((option = getopt_long(argc, argv, "", option_names, NULL)) != -1) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            exit(0);
        }
        if (option == 'v') {
            puts("bulkhead-worker " BULKHEAD_VERSION);
            exit(0);
        }
        if (!apply(option, options))
            goto wrong;
    }
    if (optind == argc && options->config != NULL && options->control != NULL &&
        (options->sandbox.user != 0) == (options->sandbox.group != 0))
        return;
wrong:
    (void)fputs(usage, stderr);
    exit(2);
}
