/* SPDX-License-Identifier: MIT */
/*
 * bh events [COLUMN=VALUE,...] [--since N] [--follow]
 */
#include "api/cli/command.h"
#include "api/cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct follower {
    bool json;
    char line[65536];
    size_t used;
    bool refused;
};

static void print_event(const struct follower *follower, const char *text)
{
    json_t *event = json_loads(text, 0, NULL);
    if (follower->json) {
        printf("%s\n", text);
    } else if (event) {
        static const char *const paths[] = {"sequence",    "time",        "type",
                                            "object.kind", "object.name", "actor"};
        for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
            char *part = table_text(table_value(event, paths[i]), paths[i]);
            printf("%s%s", part ? part : "", i + 1 < sizeof paths / sizeof paths[0] ? "  " : "\n");
            free(part);
        }
    }
    fflush(stdout);
    json_decref(event);
}

/* Server-sent events: of each, the data line. */
static size_t take_stream(char *bytes, size_t one, size_t size, void *context)
{
    struct follower *follower = context;
    (void)one;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n') {
            if (follower->used + 1 < sizeof follower->line)
                follower->line[follower->used++] = bytes[i];
            continue;
        }
        follower->line[follower->used] = '\0';
        follower->used = 0;
        if (strncmp(follower->line, "data: ", 6) == 0)
            print_event(follower, follower->line + 6);
    }
    return size;
}

static int follow_events(const struct command *command, const char *path)
{
    struct client *client = command->client;
    struct curl_slist *headers = client_headers(client, NULL);
    struct follower follower = {.json = command->json};
    long status = 0;
    headers = curl_slist_append(headers, "Accept: text/event-stream");
    curl_easy_reset(client->curl);
    client_prepare(client, client->curl, path);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_stream);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &follower);
    curl_easy_setopt(client->curl, CURLOPT_FAILONERROR, 1L);
    CURLcode code = curl_easy_perform(client->curl);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    if (code == CURLE_OK)
        return 0;
    fprintf(stderr, "bh: the stream ended: %s\n", curl_easy_strerror(code));
    return status >= 400 ? 1 : 3;
}

static int list_events(const struct command *command, const char *path)
{
    struct response response;
    int status = 0;
    if (!client_call(command->client, "GET", path, NULL, &response))
        return 3;
    if (response.status != 200)
        status = client_complain(&response);
    else if (command->json)
        printf("%s", response.body);
    else
        table_print(json_object_get(response.json, "items"),
                    "SEQUENCE=sequence,TIME=time,TYPE=type,KIND=object.kind,OBJECT=object.name,"
                    "ACTOR=actor");
    response_free(&response);
    return status;
}

int events_command(const struct command *command)
{
    char path[1024] = "/v1/events?";
    bool follow = false;
    for (int i = 0; i < command->count; i++) {
        size_t used = strlen(path);
        const char *word = command->words[i];
        if (strcmp(word, "--follow") == 0)
            follow = true;
        else if (strcmp(word, "--since") == 0 && i + 1 < command->count)
            snprintf(path + used, sizeof path - used, "since=%s&", command->words[++i]);
        else
            snprintf(path + used, sizeof path - used, "filter=%s&", word);
    }
    path[strlen(path) - 1] = '\0';
    return follow ? follow_events(command, path) : list_events(command, path);
}
