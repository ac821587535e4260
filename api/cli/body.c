/* SPDX-License-Identifier: MIT */
#include "api/cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Read a value: JSON where it is, else a string. */
static json_t *read_value(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    return value ? value : json_string(text);
}

/* The object under this name, made when it is not there. */
static json_t *descend(json_t *object, const char *name)
{
    json_t *inner = json_object_get(object, name);
    if (json_is_object(inner))
        return inner;
    json_object_set_new(object, name, json_object());
    return json_object_get(object, name);
}

bool body_assign(json_t *body, const char *word)
{
    char name[256];
    const char *equals = strchr(word, '=');
    if (!equals || equals == word) {
        fprintf(stderr, "bh: %s is not of the form FIELD=VALUE\n", word);
        return false;
    }
    for (const char *path = word; body;) {
        size_t length = strcspn(path, ".=");
        if (!length || length >= sizeof name)
            break;
        snprintf(name, sizeof name, "%.*s", (int)length, path);
        path += length;
        if (*path == '=') {
            json_t *value = read_value(path + 1);
            if (value && json_object_set_new(body, name, value) == 0)
                return true;
            break;
        }
        body = descend(body, name);
        path++;
    }
    fprintf(stderr, "bh: %s is not of the form FIELD=VALUE in UTF-8\n", word);
    return false;
}
