/* SPDX-License-Identifier: MIT */
/*
 * Changes that take time: wait for the operation, show how far it is.
 */
#include "api/cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 30 };

void work_progress(const char *label, double part, const char *state)
{
    char bar[BAR_WIDTH + 1];
    if (!isatty(STDERR_FILENO))
        return;
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    int filled = (int)(part * BAR_WIDTH);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %3.0f%% %s", label, bar, part * 100, state);
}

void work_progress_end(void)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void show_state(const json_t *operation, const char *label)
{
    char state[160];
    const char *holder = member(operation, "holder");
    snprintf(state, sizeof state, "%s%s%s", member(operation, "state"),
             *holder ? ", waits for " : "", holder);
    work_progress(label, json_number_value(json_object_get(operation, "progress")), state);
}

/* Say how it ended. */
static int conclude(json_t *operation)
{
    const char *state = member(operation, "state");
    if (strcmp(state, "succeeded") == 0)
        return 0;
    json_t *problem = json_object_get(operation, "problem");
    const struct response response = {.status = 500, .json = problem};
    if (problem)
        return client_complain(&response);
    fprintf(stderr, "bh: the operation %s was %s\n", member(operation, "uuid"), state);
    return 1;
}

static bool is_over(const json_t *operation)
{
    const char *state = member(operation, "state");
    return strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

int work_wait(const struct command *command, const char *path, const char *label)
{
    char query[320];
    snprintf(query, sizeof query, "%s?wait=1", path);
    for (;;) {
        struct response response;
        if (!client_call(command->client, "GET", query, NULL, &response))
            return 3;
        if (response.status != 200) {
            int status = client_complain(&response);
            response_free(&response);
            return status;
        }
        show_state(response.json, label);
        if (is_over(response.json)) {
            work_progress_end();
            int status = conclude(response.json);
            response_free(&response);
            return status;
        }
        response_free(&response);
    }
}

int work_change(const struct command *command, const char *method, const char *path,
                const json_t *body)
{
    struct response response;
    int status = 0;
    if (!client_call(command->client, method, path, body, &response))
        return 3;
    if (response.status >= 400)
        status = client_complain(&response);
    else if (response.status == 202 && !command->no_wait)
        status = work_wait(command, response.location, path + strlen("/v1/"));
    if (response.status < 400 && response.size &&
        (command->json || json_object_get(response.json, "secret")) &&
        (response.status != 202 || command->no_wait))
        printf("%s\n", response.body);
    response_free(&response);
    return status;
}
