/* SPDX-License-Identifier: MIT */
#include "api/json_scan.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && is_space(*p))
        p++;
    return p;
}

/* Behind the string that begins at p, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
    if (p >= end || *p != '"')
        return NULL;
    for (p++; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return NULL;
}

/* Behind the array or object that begins at p, or NULL. */
static const char *skip_nested(const char *p, const char *end)
{
    size_t depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            if (!p)
                return NULL;
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        if ((*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        p++;
    }
    return NULL;
}

/* Behind the value that begins at p, or NULL. */
static const char *skip_value(const char *p, const char *end)
{
    if (p >= end)
        return NULL;
    if (*p == '"')
        return skip_string(p, end);
    if (*p == '{' || *p == '[')
        return skip_nested(p, end);
    const char *start = p;
    while (p < end && *p != ',' && *p != '}' && *p != ']' && !is_space(*p))
        p++;
    return p > start ? p : NULL;
}

/* One member of an object. */
struct member {
    struct json_slice name; /* without quotes */
    struct json_slice value;
};

/* Begin walking the object in size bytes: behind its brace, or NULL when it is none. */
static const char *members_begin(const char *bytes, size_t size)
{
    const char *p = skip_space(bytes, bytes + size);
    return p < bytes + size && *p == '{' ? p + 1 : NULL;
}

/* Read the member at *cursor and move behind it. False at the end, or where the JSON is broken;
 * then *cursor is NULL. */
static bool members_next(const char **cursor, const char *end, struct member *member)
{
    const char *p = skip_space(*cursor, end);
    *cursor = NULL;
    if (p < end && *p == ',')
        p = skip_space(p + 1, end);
    if (p < end && *p == '}') {
        *cursor = p + 1;
        return false;
    }
    const char *after = skip_string(p, end);
    if (!after)
        return false;
    member->name = (struct json_slice){p + 1, (size_t)(after - p) - 2};
    p = skip_space(after, end);
    if (p >= end || *p != ':')
        return false;
    p = skip_space(p + 1, end);
    after = skip_value(p, end);
    if (!after)
        return false;
    member->value = (struct json_slice){p, (size_t)(after - p)};
    *cursor = after;
    return true;
}

size_t json_scan_depth(const char *bytes, size_t size)
{
    size_t depth = 0, deepest = 0;
    const char *end = bytes + size;
    for (const char *p = bytes; p < end;) {
        if (*p == '"') {
            p = skip_string(p, end);
            if (!p)
                break;
            continue;
        }
        if ((*p == '{' || *p == '[') && ++depth > deepest)
            deepest = depth;
        if ((*p == '}' || *p == ']') && depth)
            depth--;
        p++;
    }
    return deepest;
}

bool json_scan_member(const char *bytes, size_t size, const char *name, struct json_slice *value)
{
    size_t length = strlen(name);
    const char *cursor = members_begin(bytes, size);
    struct member member;
    while (cursor && members_next(&cursor, bytes + size, &member)) {
        if (member.name.size == length && memcmp(member.name.bytes, name, length) == 0) {
            *value = member.value;
            return true;
        }
    }
    return false;
}

bool json_fields_parse(struct json_fields *fields, const char *list)
{
    size_t count = 1;
    for (const char *p = list; *p; p++)
        count += *p == ',';
    fields->field = calloc(count, sizeof *fields->field);
    fields->count = 0;
    if (!fields->field)
        return false;
    while (*list) {
        size_t size = strcspn(list, ",");
        if (size)
            fields->field[fields->count++] = (struct json_field){list, size};
        list += size + (list[size] == ',');
    }
    return true;
}

void json_fields_free(struct json_fields *fields)
{
    free(fields->field);
    *fields = (struct json_fields){0};
}

enum { FIELDS_MAX_INNER = 32 };

/* How the wanted fields see a member: the whole of it, parts of it, or not at all. */
static size_t fields_inside(const struct json_fields *fields, const struct json_slice *name,
                            struct json_field inner[FIELDS_MAX_INNER], bool *whole)
{
    size_t count = 0;
    *whole = false;
    for (size_t i = 0; i < fields->count; i++) {
        const struct json_field *field = &fields->field[i];
        if (field->size < name->size || memcmp(field->path, name->bytes, name->size) != 0)
            continue;
        if (field->size == name->size)
            *whole = true;
        else if (field->path[name->size] == '.' && count < FIELDS_MAX_INNER)
            inner[count++] =
                (struct json_field){field->path + name->size + 1, field->size - name->size - 1};
    }
    return count;
}

static bool pick(const struct json_fields *fields, const char *bytes, size_t size, struct text *out)
{
    const char *cursor = members_begin(bytes, size);
    struct member member;
    bool first = true;
    if (!cursor)
        return false;
    text_append(out, "{", 1);
    while (members_next(&cursor, bytes + size, &member)) {
        struct json_field inner[FIELDS_MAX_INNER];
        bool whole;
        size_t count = fields_inside(fields, &member.name, inner, &whole);
        if (!whole && (!count || *member.value.bytes != '{'))
            continue;
        if (!first)
            text_append(out, ",", 1);
        first = false;
        text_append(out, member.name.bytes - 1, member.name.size + 2);
        text_append(out, ":", 1);
        if (whole) {
            text_append(out, member.value.bytes, member.value.size);
            continue;
        }
        const struct json_fields deeper = {inner, count};
        if (!pick(&deeper, member.value.bytes, member.value.size, out))
            return false;
    }
    text_append(out, "}", 1);
    return cursor != NULL;
}

void json_fields_pick(const struct json_fields *fields, const char *bytes, size_t size,
                      struct text *out)
{
    size_t mark = out->size;
    if (pick(fields, bytes, size, out))
        return;
    out->size = mark;
    text_append(out, bytes, size);
}
