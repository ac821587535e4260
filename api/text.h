/* SPDX-License-Identifier: MIT */
/*
 * A growing buffer of bytes. Out of memory is remembered in `failed` and makes every further
 * append do nothing, so that a caller checks once at the end.
 */
#ifndef BULKHEAD_API_TEXT_H
#define BULKHEAD_API_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes;
    size_t size;
    size_t room;
    bool failed;
};

void text_append(struct text *text, const char *bytes, size_t size);
void text_puts(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Append a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void text_json(struct text *text, const char *string);
/* `,"name":"value"`, and the same with a number. */
void text_member(struct text *text, const char *name, const char *value);
void text_member_integer(struct text *text, const char *name, int64_t value);
/* Make room for at least so many bytes in all. */
void text_reserve(struct text *text, size_t room);
void text_free(struct text *text);
/* The bytes for the caller to free, or NULL when it failed. Empties the text. */
char *text_take(struct text *text);

#endif
