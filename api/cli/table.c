/* SPDX-License-Identifier: MIT */
#include "api/cli/table.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_COLUMNS = 16 };

struct column {
    char title[32], path[96];
    int width;
};

const json_t *table_value(const json_t *object, const char *path)
{
    while (object && *path) {
        char name[96];
        size_t length = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)length, path);
        object = json_object_get(object, name);
        path += length + (path[length] == '.');
    }
    return object;
}

static bool is_size(const char *path)
{
    static const char *const names[] = {"size",      "minimum",  "maximum",
                                        "allocated", "received", "scrollback"};
    const char *last = strrchr(path, '.');
    last = last ? last + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(last, names[i]) == 0)
            return true;
    return strncmp(last, "memory_", 7) == 0 || strncmp(last, "storage_", 8) == 0;
}

static char *size_text(json_int_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    unsigned unit = 0;
    char *text = NULL;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    bool whole = value == (double)(long long)value;
    return asprintf(&text, whole ? "%.0f %s" : "%.1f %s", value, units[unit]) < 0 ? NULL : text;
}

static char *list_text(const json_t *array, const char *path)
{
    char *text = strdup("");
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        char *one = table_text(item, path), *longer = NULL;
        if (asprintf(&longer, "%s%s%s", text ? text : "", i ? "," : "", one ? one : "") < 0)
            longer = NULL;
        free(one);
        free(text);
        text = longer;
    }
    return text;
}

/* The names of an object's members, such as device names. */
static char *names_text(const json_t *object)
{
    char *text = strdup("");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        char *longer = NULL;
        if (asprintf(&longer, "%s%s%s", text ? text : "", text && *text ? "," : "", name) < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    return text;
}

/* Control characters from the server do not reach the terminal. */
static char *printable(const char *text)
{
    char *copy = strdup(text);
    for (unsigned char *p = (unsigned char *)copy; p && *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return copy;
}

char *table_text(const json_t *value, const char *path)
{
    char *text = NULL;
    if (!value || json_is_null(value))
        return strdup("");
    if (json_is_string(value))
        return printable(json_string_value(value));
    if (json_is_boolean(value))
        return strdup(json_is_true(value) ? "yes" : "no");
    if (json_is_array(value))
        return list_text(value, path);
    if (json_is_object(value))
        return names_text(value);
    if (json_is_integer(value) && is_size(path))
        return size_text(json_integer_value(value));
    if (json_is_integer(value))
        return asprintf(&text, "%lld", (long long)json_integer_value(value)) < 0 ? NULL : text;
    return asprintf(&text, "%g", json_real_value(value)) < 0 ? NULL : text;
}

static int parse_columns(const char *list, struct column columns[MAX_COLUMNS])
{
    int count = 0;
    while (*list && count < MAX_COLUMNS) {
        size_t length = strcspn(list, ",");
        size_t title = strcspn(list, "=");
        struct column *column = &columns[count++];
        snprintf(column->title, sizeof column->title, "%.*s", (int)title, list);
        snprintf(column->path, sizeof column->path, "%.*s", (int)(length - title - 1),
                 list + title + 1);
        column->width = (int)strlen(column->title);
        list += length + (list[length] == ',');
    }
    return count;
}

static void measure(const json_t *items, struct column *column)
{
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        char *text = table_text(table_value(item, column->path), column->path);
        int width = text ? (int)strlen(text) : 0;
        if (width > column->width)
            column->width = width;
        free(text);
    }
}

void table_print(const json_t *items, const char *list)
{
    struct column columns[MAX_COLUMNS];
    int count = parse_columns(list, columns);
    size_t i;
    json_t *item;
    for (int c = 0; c < count; c++)
        measure(items, &columns[c]);
    for (int c = 0; c < count; c++)
        printf("%-*s%s", c + 1 < count ? columns[c].width : 0, columns[c].title,
               c + 1 < count ? "  " : "\n");
    json_array_foreach(items, i, item)
    {
        for (int c = 0; c < count; c++) {
            char *text = table_text(table_value(item, columns[c].path), columns[c].path);
            printf("%-*s%s", c + 1 < count ? columns[c].width : 0, text ? text : "",
                   c + 1 < count ? "  " : "\n");
            free(text);
        }
    }
}

static void print_members(const json_t *object, const char *prefix)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        char path[256];
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", name);
        if (json_is_object(value) && json_object_size(value)) {
            print_members(value, path);
            continue;
        }
        char *text = table_text(value, path);
        printf("%-28s %s\n", path, text ? text : "");
        free(text);
    }
}

void table_print_object(const json_t *object)
{
    print_members(object, "");
}
