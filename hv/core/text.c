/* SPDX-License-Identifier: MIT */
/* Text: comparing, parsing, formatting. */
#include "hv/core/text.h"

bool text_copy(char *to, size_t size, const char *from)
{
    size_t i = 0;
    for (; i + 1 < size && from[i] != '\0'; i++)
        to[i] = from[i];
    to[i] = '\0';
    return from[i] == '\0';
}

bool text_equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const char *text_after(const char *text, const char *prefix)
{
    while (*prefix != '\0')
        if (*text++ != *prefix++)
            return NULL;
    return text;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Reads digits up to the first other character; NULL when there is none or the value overflows. */
static const char *parse_digits(const char *text, uint64_t *value)
{
    unsigned base = 10;
    const char *digits = text_after(text, "0x");
    if (digits != NULL)
        base = 16;
    else
        digits = text;

    const char *at = digits;
    uint64_t sum = 0;
    for (; (unsigned)digit_value(*at) < base; at++) {
        if (__builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)digit_value(*at), &sum))
            return NULL;
    }
    *value = sum;
    return at == digits ? NULL : at;
}

bool text_parse_number(const char *text, uint64_t *value)
{
    const char *end = parse_digits(text, value);
    return end != NULL && *end == '\0';
}

static unsigned suffix_shift(char c)
{
    return c == 'K' ? 10 : c == 'M' ? 20 : c == 'G' ? 30 : 0;
}

bool text_parse_size(const char *text, uint64_t *bytes)
{
    uint64_t value;
    const char *end = parse_digits(text, &value);
    if (end == NULL)
        return false;
    const unsigned shift = suffix_shift(*end);
    if (shift != 0)
        end++;
    *bytes = value << shift;
    return *end == '\0' && *bytes >> shift == value;
}

/* ---- formatting ---- */

struct output {
    char *at;
    char *end; /* one before the last byte, which is kept for the end mark */
};

static void put(struct output *out, char c)
{
    if (out->at < out->end)
        *out->at++ = c;
}

struct conversion {
    unsigned width;
    unsigned longs; /* number of l */
    char fill;
    char kind;
};

static const char *parse_conversion(const char *format, struct conversion *conversion)
{
    *conversion = (struct conversion){.fill = ' '};
    if (*format == '0') {
        conversion->fill = '0';
        format++;
    }
    for (; *format >= '0' && *format <= '9'; format++)
        conversion->width = conversion->width * 10 + (unsigned)(*format - '0');
    for (; *format == 'l' || *format == 'z'; format++)
        conversion->longs++;
    conversion->kind = *format;
    return *format == '\0' ? format : format + 1;
}

static void put_number(struct output *out, uint64_t value, const struct conversion *conversion)
{
    char digits[24];
    unsigned count = 0;
    const unsigned base = conversion->kind == 'x' ? 16 : 10;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    for (unsigned i = count; i < conversion->width; i++)
        put(out, conversion->fill);
    while (count > 0)
        put(out, digits[--count]);
}

static void put_text(struct output *out, const char *text, unsigned width)
{
    unsigned length = 0;
    for (; text[length] != '\0'; length++)
        put(out, text[length]);
    for (; length < width; length++)
        put(out, ' ');
}

size_t text_format(char *to, size_t size, const char *format, va_list arguments)
{
    struct output out = {to, to + size - 1};
    while (*format != '\0') {
        if (*format != '%') {
            put(&out, *format++);
            continue;
        }
        struct conversion conversion;
        format = parse_conversion(format + 1, &conversion);
        switch (conversion.kind) {
        case 's':
            put_text(&out, va_arg(arguments, const char *), conversion.width);
            break;
        case 'u':
        case 'x':
            put_number(&out,
                       conversion.longs ? va_arg(arguments, unsigned long)
                                        : va_arg(arguments, unsigned),
                       &conversion);
            break;
        default:
            put(&out, conversion.kind);
            break;
        }
    }
    *out.at = '\0';
    return (size_t)(out.at - to);
}
