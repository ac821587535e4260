/* SPDX-License-Identifier: MIT */
/*
 * What is the same for every kind of object: list, show, create, set, delete, act.
 */
#include "api/cli/command.h"
#include "api/cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append_query(struct client *client, char *path, size_t size, const char *name,
                         const char *value)
{
    char *escaped = value ? curl_easy_escape(client->curl, value, 0) : NULL;
    size_t used = strlen(path);
    if (escaped)
        snprintf(path + used, size - used, "%c%s=%s", strchr(path, '?') ? '&' : '?', name, escaped);
    curl_free(escaped);
}

json_t *object_list(struct client *client, const char *path, const char *filter, const char *fields)
{
    json_t *all = json_array();
    char *next = NULL;
    do {
        char query[2048];
        struct response response;
        snprintf(query, sizeof query, "%s?limit=1000", path);
        append_query(client, query, sizeof query, "filter", filter);
        append_query(client, query, sizeof query, "fields", fields);
        append_query(client, query, sizeof query, "page_token", next);
        free(next);
        next = NULL;
        bool answered = client_call(client, "GET", query, NULL, &response);
        if (!answered || response.status != 200) {
            if (answered)
                client_complain(&response);
            response_free(&response);
            json_decref(all);
            return NULL;
        }
        json_array_extend(all, json_object_get(response.json, "items"));
        const char *token = json_string_value(json_object_get(response.json, "next"));
        next = token ? strdup(token) : NULL;
        response_free(&response);
    } while (next);
    return all;
}

static int print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
    return 0;
}

static int do_list(const struct command *command, const struct kind *kind, const char *path)
{
    json_t *items =
        object_list(command->client, path, command->count ? command->words[0] : NULL, NULL);
    if (!items)
        return 1;
    if (command->json)
        print_json(items);
    else
        table_print(items, kind->columns);
    json_decref(items);
    return 0;
}

static int do_show(const struct command *command, const char *path)
{
    struct response response;
    int status = 0;
    if (!client_call(command->client, "GET", path, NULL, &response))
        return 3;
    if (response.status != 200)
        status = client_complain(&response);
    else if (command->json)
        print_json(response.json);
    else
        table_print_object(response.json);
    response_free(&response);
    return status;
}

/* The fields given on the command line, or NULL after saying what is wrong. */
static json_t *read_fields(const struct command *command, int first, const char *name)
{
    json_t *body = json_object();
    if (name)
        json_object_set_new(body, "name", json_string(name));
    for (int i = first; i < command->count; i++) {
        if (!body_assign(body, command->words[i])) {
            json_decref(body);
            return NULL;
        }
    }
    return body;
}

static int change_with_body(const struct command *command, const char *method, const char *path,
                            json_t *body)
{
    if (!body)
        return 2;
    int status = work_change(command, method, path, body);
    json_decref(body);
    return status;
}

/* The same for each named object; words with "=" are fields. Goes on after a failure. */
static int for_each_name(const struct command *command, const char *collection, const char *method,
                         const char *suffix)
{
    json_t *body = json_object();
    int status = 0;
    for (int i = 0; i < command->count; i++)
        if (strchr(command->words[i], '=') && !body_assign(body, command->words[i]))
            status = 2;
    for (int i = 0; i < command->count && status != 2; i++) {
        char path[512];
        if (strchr(command->words[i], '='))
            continue;
        snprintf(path, sizeof path, "%s/%s%s", collection, command->words[i], suffix);
        int one = work_change(command, method, path, json_object_size(body) ? body : NULL);
        status = one ? one : status;
    }
    json_decref(body);
    return status;
}

static int usage(const struct kind *kind, const struct verb *verb)
{
    fprintf(stderr, "usage: bh %s %s %s\n", kind->name, verb->name, verb->help);
    return 2;
}

static int run_verb(const struct command *command, const struct kind *kind, const struct verb *verb,
                    const char *collection)
{
    char path[512], suffix[64];
    const char *name = command->count ? command->words[0] : NULL;
    if (verb->shape == VERB_LIST)
        return do_list(command, kind, collection);
    if (!name || (verb->shape == VERB_CLONE && command->count < 2))
        return usage(kind, verb);
    snprintf(path, sizeof path, "%s/%s", collection, name);
    switch (verb->shape) {
    case VERB_SHOW:
        return do_show(command, path);
    case VERB_CREATE:
        return change_with_body(command, "POST", collection, read_fields(command, 1, name));
    case VERB_SET:
        return change_with_body(command, "PATCH", path, read_fields(command, 1, NULL));
    case VERB_DELETE:
        return for_each_name(command, collection, "DELETE", "");
    case VERB_CLONE:
        strncat(path, "/clone", sizeof path - strlen(path) - 1);
        return change_with_body(command, "POST", path, read_fields(command, 2, command->words[1]));
    default:
        snprintf(suffix, sizeof suffix, "/%s", verb->name);
        return for_each_name(command, collection, "POST", suffix);
    }
}

int object_command(const struct command *command, const struct kind *kind, const struct verb *verb)
{
    char collection[256];
    struct command inner = *command;
    if (!strstr(kind->collection, "%s"))
        return run_verb(command, kind, verb, kind->collection);
    const char *mark = strstr(kind->collection, "%s");
    if (verb->shape == VERB_LIST && (!command->count || strchr(command->words[0], '='))) {
        snprintf(collection, sizeof collection, "/v1%s", mark + 2);
        return run_verb(command, kind, verb, collection);
    }
    if (!command->count)
        return usage(kind, verb);
    snprintf(collection, sizeof collection, "%.*s%s%s", (int)(mark - kind->collection),
             kind->collection, command->words[0], mark + 2);
    inner.count--;
    inner.words++;
    return run_verb(&inner, kind, verb, collection);
}
