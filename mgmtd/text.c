/* SPDX-License-Identifier: MIT */
/* A growing text. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmtd/text.h"

void text_release(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

static bool reserve(struct text *text, size_t more)
{
    size_t wanted = text->size + more + 1;
    size_t capacity = text->capacity ? text->capacity : 256;
    char *grown;

    if (text->failed || wanted <= text->capacity)
        return !text->failed;
    while (capacity < wanted)
        capacity *= 2;
    grown = realloc(text->bytes, capacity);
    if (!grown) {
        text->failed = true;
        return false;
    }
    text->bytes = grown;
    text->capacity = capacity;
    return true;
}

void text_add(struct text *text, const char *bytes, size_t size)
{
    if (!reserve(text, size))
        return;
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

void text_add_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_format(struct text *text, const char *format, ...)
{
    char *formatted = NULL;
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vasprintf(&formatted, format, arguments);
    va_end(arguments);
    if (size < 0) {
        text->failed = true;
        return;
    }
    text_add(text, formatted, (size_t)size);
    free(formatted);
}

/* Bytes of the UTF-8 sequence at `s`, 0 when it is not one. */
static size_t sequence_length(const unsigned char *s)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return length;
}

static void add_character(struct text *text, const unsigned char *s, size_t length)
{
    if (length == 0)
        text_add_string(text, "\\ufffd");
    else if (*s == '"' || *s == '\\')
        text_format(text, "\\%c", *s);
    else if (*s == '\n')
        text_add_string(text, "\\n");
    else if (*s < 0x20 || *s == 0x7f)
        text_format(text, "\\u%04x", *s);
    else
        text_add(text, (const char *)s, length);
}

void text_add_json(struct text *text, const char *string)
{
    const unsigned char *s = (const unsigned char *)string;

    text_add(text, "\"", 1);
    while (*s) {
        size_t length = sequence_length(s);

        add_character(text, s, length);
        s += length ? length : 1;
    }
    text_add(text, "\"", 1);
}

void text_member(struct text *text, const char *name, const char *value)
{
    text_format(text, ",\"%s\":", name);
    text_add_json(text, value);
}

void text_member_integer(struct text *text, const char *name, int64_t value)
{
    text_format(text, ",\"%s\":%lld", name, (long long)value);
}

char *text_take(struct text *text)
{
    char *bytes;

    if (text->failed || !reserve(text, 0)) {
        text_release(text);
        return NULL;
    }
    bytes = text->bytes;
    bytes[text->size] = '\0';
    *text = (struct text){0};
    return bytes;
}
