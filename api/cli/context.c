/* SPDX-License-Identifier: MIT */
#include "api/cli/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const context_fields[] = {"url", "socket", "token", "ca", "certificate", "key"};
enum { CONTEXT_FIELDS = sizeof context_fields / sizeof context_fields[0] };

/* Path of the context file, from malloc. */
static char *file_path(void)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    char *path = NULL;
    int made = config && *config
                   ? asprintf(&path, "%s/bulkhead/contexts.json", config)
                   : asprintf(&path, "%s/.config/bulkhead/contexts.json", home ? home : "");
    return made < 0 ? NULL : path;
}

/* Read the file; an empty document when there is none. NULL: said why. */
static json_t *file_load(const char *path)
{
    struct stat status;
    json_error_t error;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return json_pack("{s:{}}", "contexts");
    if (fd < 0 || fstat(fd, &status) != 0) {
        fprintf(stderr, "bh: cannot read %s: %s\n", path, strerror(errno));
        return NULL;
    }
    if (status.st_mode & 077) {
        fprintf(stderr, "bh: others may read %s, which holds secrets. Run: chmod 600 %s\n", path,
                path);
        close(fd);
        return NULL;
    }
    json_t *document = json_loadfd(fd, 0, &error);
    close(fd);
    if (document && json_is_object(json_object_get(document, "contexts")))
        return document;
    fprintf(stderr, "bh: %s is not a context file: %s\n", path,
            document ? "contexts is missing" : error.text);
    json_decref(document);
    return NULL;
}

static bool make_folders(const char *path)
{
    char *copy = strdup(path);
    bool good = copy != NULL;
    for (char *slash = good ? strchr(copy + 1, '/') : NULL; slash && good;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        good = mkdir(copy, 0700) == 0 || errno == EEXIST;
        *slash = '/';
    }
    free(copy);
    return good;
}

/* Replace the file in one step. */
static bool file_save(const char *path, const json_t *document)
{
    char *temporary = NULL;
    bool good = false;
    if (!make_folders(path) || asprintf(&temporary, "%s.new", path) < 0) {
        fprintf(stderr, "bh: cannot write %s: %s\n", path, strerror(errno));
        return false;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        good = fchmod(fd, 0600) == 0 && json_dumpfd(document, fd, JSON_INDENT(2)) == 0 &&
               write(fd, "\n", 1) == 1;
        good = close(fd) == 0 && good && rename(temporary, path) == 0;
    }
    if (!good)
        fprintf(stderr, "bh: cannot write %s: %s\n", path, strerror(errno));
    free(temporary);
    return good;
}

static char **field_of(struct context *context, size_t i)
{
    char **const fields[] = {&context->url, &context->socket,      &context->token,
                             &context->ca,  &context->certificate, &context->key};
    return fields[i];
}

static void fill_from_environment(struct context *context)
{
    static const char *const names[] = {"BULKHEAD_URL", "BULKHEAD_SOCKET",      "BULKHEAD_TOKEN",
                                        "BULKHEAD_CA",  "BULKHEAD_CERTIFICATE", "BULKHEAD_KEY"};
    const char *url = getenv(names[0]), *socket = getenv(names[1]);
    if ((url && *url) || (socket && *socket)) /* another server: nothing of the file's applies */
        context_free(context);
    for (size_t i = 0; i < CONTEXT_FIELDS; i++) {
        const char *value = getenv(names[i]);
        if (!value || !*value)
            continue;
        free(*field_of(context, i));
        *field_of(context, i) = strdup(value);
    }
}

static bool fill_from_file(struct context *context, const char *name)
{
    char *path = file_path();
    json_t *document = path ? file_load(path) : NULL;
    free(path);
    if (!document)
        return false;
    const char *wanted = name ? name : json_string_value(json_object_get(document, "current"));
    const json_t *entry =
        wanted ? json_object_get(json_object_get(document, "contexts"), wanted) : NULL;
    if (name && !entry)
        fprintf(stderr, "bh: there is no context %s; bh context list names them\n", name);
    for (size_t i = 0; entry && i < CONTEXT_FIELDS; i++) {
        const char *value = json_string_value(json_object_get(entry, context_fields[i]));
        *field_of(context, i) = value ? strdup(value) : NULL;
    }
    json_decref(document);
    return entry || !name;
}

bool context_find(const char *name, struct context *context)
{
    const char *chosen = name ? name : getenv("BULKHEAD_CONTEXT");
    *context = (struct context){0};
    if (!fill_from_file(context, chosen && *chosen ? chosen : NULL))
        return false;
    if (!name)
        fill_from_environment(context);
    if (!context->url && !context->socket)
        context->socket = strdup(CONTEXT_LOCAL_SOCKET);
    return true;
}

void context_free(struct context *context)
{
    for (size_t i = 0; i < CONTEXT_FIELDS; i++) {
        free(*field_of(context, i));
        *field_of(context, i) = NULL;
    }
}

/* --- Commands --- */

static int list_contexts(const json_t *document)
{
    const char *current = json_string_value(json_object_get(document, "current"));
    const char *name;
    json_t *entry;
    json_object_foreach(json_object_get(document, "contexts"), name, entry)
    {
        const char *url = json_string_value(json_object_get(entry, "url"));
        const char *socket = json_string_value(json_object_get(entry, "socket"));
        printf("%s %s\t%s\n", current && strcmp(current, name) == 0 ? "*" : " ", name,
               url      ? url
               : socket ? socket
                        : CONTEXT_LOCAL_SOCKET);
    }
    return 0;
}

static bool set_field(json_t *entry, const char *word)
{
    const char *equals = strchr(word, '=');
    for (size_t i = 0; equals && i < CONTEXT_FIELDS; i++) {
        size_t length = strlen(context_fields[i]);
        if ((size_t)(equals - word) == length && memcmp(word, context_fields[i], length) == 0)
            return json_object_set_new(entry, context_fields[i], json_string(equals + 1)) == 0;
    }
    fprintf(stderr, "bh: %s is not url=, socket=, token=, ca=, certificate= or key=\n", word);
    return false;
}

static bool add_context(json_t *document, int count, char **words)
{
    json_t *contexts = json_object_get(document, "contexts");
    json_t *entry = json_object();
    for (int i = 1; i < count; i++)
        if (!set_field(entry, words[i]))
            return false;
    json_object_set_new(contexts, words[0], entry);
    if (!json_object_get(document, "current"))
        json_object_set_new(document, "current", json_string(words[0]));
    return true;
}

static bool change_contexts(json_t *document, const char *verb, int count, char **words)
{
    json_t *contexts = json_object_get(document, "contexts");
    if (strcmp(verb, "add") == 0)
        return add_context(document, count, words);
    if (!json_object_get(contexts, words[0])) {
        fprintf(stderr, "bh: there is no context %s\n", words[0]);
        return false;
    }
    if (strcmp(verb, "use") == 0)
        return json_object_set_new(document, "current", json_string(words[0])) == 0;
    return json_object_del(contexts, words[0]) == 0;
}

int context_command(int count, char **words)
{
    const char *verb = count ? words[0] : "list";
    bool changes =
        strcmp(verb, "add") == 0 || strcmp(verb, "use") == 0 || strcmp(verb, "remove") == 0;
    if ((!changes && strcmp(verb, "list") != 0) || (changes && count < 2)) {
        fprintf(stderr,
                "usage: bh context list | add NAME key=value... | use NAME | remove NAME\n");
        return 2;
    }
    char *path = file_path();
    json_t *document = path ? file_load(path) : NULL;
    int status = 1;
    if (document && !changes)
        status = list_contexts(document);
    else if (document && change_contexts(document, verb, count - 1, words + 1))
        status = file_save(path, document) ? 0 : 1;
    json_decref(document);
    free(path);
    return status;
}
