/* SPDX-License-Identifier: MIT */
/*
 * The commands of bh. Each returns the exit status: 0 done, 1 refused or failed, 2 wrong usage, 3
 * no answer.
 */
#ifndef BULKHEAD_CLI_COMMAND_H
#define BULKHEAD_CLI_COMMAND_H

#include "api/cli/client.h"
#include "api/cli/kinds.h"

struct command {
    struct client *client;
    bool json;    /* print documents, not tables */
    bool no_wait; /* do not wait for operations */
    int count;    /* words after the command's own */
    char **words;
};

/* --- object.c --- */
int object_command(const struct command *command, const struct kind *kind, const struct verb *verb);
/* All pages of a list as one array; NULL: said why. filter and fields may be NULL. */
json_t *object_list(struct client *client, const char *path, const char *filter,
                    const char *fields);

/* --- body.c --- */
/* Add "a.b=value" to a JSON object. A value that reads as JSON (number, true, null, [..], {..},
 * "..") is that, everything else is a string. False: said why. */
bool body_assign(json_t *body, const char *word);

/* --- work.c --- */
/* Change something and see it through: with a progress line on a terminal, until the operation
 * ends. Prints the resulting object with --json. */
int work_change(const struct command *command, const char *method, const char *path,
                const json_t *body);
/* Wait for the operation of a 202 answer. */
int work_wait(const struct command *command, const char *operation_path, const char *label);
/* Redraw a progress line; part from 0 to 1. */
void work_progress(const char *label, double part, const char *state);
void work_progress_end(void);

/* --- console.c, events.c, upload.c, top.c, complete.c, raw.c --- */
int console_command(const struct command *command);
int events_command(const struct command *command);
int upload_command(const struct command *command);
int top_command(const struct command *command);
int complete_command(const struct command *command);
int completion_script(const struct command *command);
int raw_command(const struct command *command);

#endif
