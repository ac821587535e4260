/* SPDX-License-Identifier: MIT */
#include "api/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_reserve(struct text *text, size_t room)
{
    if (room <= text->room || text->failed)
        return;
    size_t wanted = text->room ? text->room : 256;
    while (wanted < room)
        wanted += wanted / 2;
    char *bytes = realloc(text->bytes, wanted);
    if (!bytes) {
        text->failed = true;
        return;
    }
    text->bytes = bytes;
    text->room = wanted;
}

void text_append(struct text *text, const char *bytes, size_t size)
{
    text_reserve(text, text->size + size + 1);
    if (text->failed)
        return;
    if (size)
        memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

void text_puts(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    char small[512];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start did */
    int size = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    if (size < 0) {
        text->failed = true;
        return;
    }
    if ((size_t)size < sizeof small) {
        text_append(text, small, (size_t)size);
        return;
    }
    text_reserve(text, text->size + (size_t)size + 1);
    if (text->failed)
        return;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start did */
    vsnprintf(text->bytes + text->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

/* Length of the well-formed UTF-8 sequence at s, or 0. */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, low, high;
        size_t length;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        if (s[1] < forms[i].low || s[1] > forms[i].high)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* Append one character of a JSON string; return how many bytes of s it took. */
static size_t text_json_character(struct text *text, const unsigned char *s)
{
    if (*s == '"' || *s == '\\') {
        text_append(text, "\\", 1);
        text_append(text, (const char *)s, 1);
        return 1;
    }
    if (*s < 0x20 || *s == 0x7f) {
        text_printf(text, "\\u%04x", *s);
        return 1;
    }
    if (*s < 0x80) {
        text_append(text, (const char *)s, 1);
        return 1;
    }
    size_t length = utf8_length(s);
    if (!length) {
        text_puts(text, "\xef\xbf\xbd");
        return 1;
    }
    text_append(text, (const char *)s, length);
    return length;
}

void text_json(struct text *text, const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    text_append(text, "\"", 1);
    while (*s) {
        size_t plain = 0;
        while (s[plain] >= 0x20 && s[plain] < 0x7f && s[plain] != '"' && s[plain] != '\\')
            plain++;
        text_append(text, (const char *)s, plain);
        s += plain;
        if (*s)
            s += text_json_character(text, s);
    }
    text_append(text, "\"", 1);
}

void text_member(struct text *text, const char *name, const char *value)
{
    text_printf(text, ",\"%s\":", name);
    text_json(text, value);
}

void text_member_integer(struct text *text, const char *name, int64_t value)
{
    text_printf(text, ",\"%s\":%" PRId64, name, value);
}

char *text_take(struct text *text)
{
    text_append(text, "", 0);
    char *bytes = text->failed ? NULL : text->bytes;
    if (!bytes)
        free(text->bytes);
    *text = (struct text){0};
    return bytes;
}

void text_free(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}
