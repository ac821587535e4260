/* SPDX-License-Identifier: MIT */
/* Where things are and how the daemon behaves, from the command line. */
#ifndef MGMTD_OPTIONS_H
#define MGMTD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_SIZE         1024
#define OPTIONS_NAMES_MAX 16
#define WORKER_UIDS       4096 /* one for each VM that runs */

struct options {
    const char *state;   /* database, disks, images, scrollback */
    const char *run;     /* sockets and what need not survive a reboot */
    const char *etc;     /* keys and certificates */
    const char *worker;  /* program of a VM's worker */
    const char *address; /* to listen on */
    const char *cgroup;  /* directory of the workers' control group, or NULL */
    uint16_t port;
    int history_days;       /* how long operations and events are kept */
    int64_t memory_reserve; /* bytes that VMs never get */
    unsigned rate;          /* requests a second for each caller; 0: no limit */
    bool keep_guests;       /* a worker that falls is started again under its guest */
    unsigned worker_uid; /* first of WORKER_UIDS user ids that workers run as; 0: as the daemon */
    bool debug;
    const char *names[OPTIONS_NAMES_MAX]; /* further names of the server certificate */
    int name_count;

    const char *command;  /* "serve", "backup", "restore", "check" */
    const char *argument; /* of the command, or NULL */
};

/* True to go on. False: *status is what to exit with (0 after --help). */
bool options_parse(int argc, char **argv, struct options *options, int *status);

/* A path below a directory, or the directory itself; false when it is too long. */
bool path_join(char path[PATH_SIZE], const char *directory, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
