/* SPDX-License-Identifier: MIT */
/*
 * A VM's worker process: its directory in the run directory, its start, its
 * socket, its end. A worker runs in a session (and, where configured, a control
 * group) of its own, so that nothing that happens to the daemon reaches it.
 */
#ifndef MGMTD_WORKER_H
#define MGMTD_WORKER_H

#include "mgmtd/daemon.h"
#include "parent/control/client.h"

/* A file in the VM's run directory: "control", "config.json", "log". */
bool worker_path(const struct daemon *daemon, const char *id, const char *file,
                 char path[PATH_SIZE]);

/*
 * Writes the configuration and starts the program, which changes to user and
 * group `uid` unless that is 0. 0 with `message` on failure, else its pid.
 */
int worker_spawn(const struct daemon *daemon, const char *id, unsigned uid, const json_t *config,
                 char *message, size_t size);

/* The user id of a process; 0 when it is root's or gone. */
unsigned worker_uid(int pid);

struct bh_control_client *worker_connect(const struct daemon *daemon, const char *id,
                                         int timeout_ms, struct bh_control_error *error);

/* Whether the process is there and is this VM's worker, or a child of ours that is about to be one.
 */
bool worker_alive(const struct daemon *daemon, const char *id, int pid);

/*
 * The VM's worker, looked for among all processes: one that a daemon before us started and that has
 * no socket yet. 0: there is none.
 */
int worker_find(const struct daemon *daemon, const char *id);

/*
 * Waits, 10 s at most, until no child of a daemon that was killed is still on its way to become a
 * worker: worker_find would miss it.
 */
void worker_await_beginnings(const struct daemon *daemon);

/* Ends the process without asking. Does nothing when it is not this VM's worker. */
void worker_kill(const struct daemon *daemon, const char *id, int pid);

/* Takes the exit status of a worker that is our child. False: it has not ended yet. */
bool worker_reap(int pid);

/*
 * What a worker that is gone wrote last to its log: its `state` event, which it also writes there
 * at its end. For who was not connected then. False: it ended without a word.
 */
bool worker_last_words(const struct daemon *daemon, const char *id, json_t **event);

/*
 * Why a worker that is gone could not begin, as sentences: its last words, how it ended, and where
 * its log is. Takes its exit status, as worker_reap does.
 */
void worker_complaint(const struct daemon *daemon, const char *id, int pid, char *text,
                      size_t size);

/* Where the console's output of this run begins, counted from the VM's first output ever. */
void worker_save_console_base(const struct daemon *daemon, const char *id, uint64_t base);
uint64_t worker_console_base(const struct daemon *daemon, const char *id);

/* Removes a socket that nobody listens on any more. */
void worker_clean_socket(const struct daemon *daemon, const char *id);

/* Removes what a worker that ended left behind, or the whole directory. */
void worker_clean(const struct daemon *daemon, const char *id);
void worker_forget(const struct daemon *daemon, const char *id);

#endif
