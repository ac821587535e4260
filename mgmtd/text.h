/* SPDX-License-Identifier: MIT */
/*
 * A growing text, for putting JSON together without a tree. A failed allocation
 * is remembered in `failed`; the text is then useless, and all calls are safe.
 */
#ifndef MGMTD_TEXT_H
#define MGMTD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes; /* NUL-terminated once anything was added */
    size_t size;
    size_t capacity;
    bool failed;
};

void text_release(struct text *text);
void text_add(struct text *text, const char *bytes, size_t size);
void text_add_string(struct text *text, const char *string);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void text_add_json(struct text *text, const char *string);

/* `,"name":"value"`, and the same with a number. */
void text_member(struct text *text, const char *name, const char *value);
void text_member_integer(struct text *text, const char *name, int64_t value);

/* The text for the caller to free, or NULL when it failed. Empties `text`. */
char *text_take(struct text *text);

#endif
