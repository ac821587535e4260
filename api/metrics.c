/* SPDX-License-Identifier: MIT */
#include "api/metrics.h"

#include "api/metrics_text.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_escaped(struct text *out, const char *value)
{
    while (*value) {
        size_t plain = strcspn(value, "\\\"\n");
        text_append(out, value, plain);
        value += plain;
        if (!*value)
            return;
        const char escaped[2] = {'\\', (char)(*value == '\n' ? 'n' : *value)};
        text_append(out, escaped, 2);
        value++;
    }
}

/* Digits of a number and the end of line; faster than printf, for there are many. */
static void put_number(struct text *out, uint64_t value)
{
    char digits[24];
    char *begin = digits + sizeof digits;
    *--begin = '\n';
    do {
        *--begin = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    text_append(out, begin, (size_t)(digits + sizeof digits - begin));
}

void api_metrics_family(struct api_metrics *metrics, const char *name, const char *type,
                        const char *unit, const char *help)
{
    struct text *out = &metrics->text;
    snprintf(metrics->name, sizeof metrics->name, "%s", name);
    metrics->name_size = strlen(metrics->name);
    text_printf(out, "# TYPE %s %s\n", name, type);
    if (*unit)
        text_printf(out, "# UNIT %s %s\n", name, unit);
    text_printf(out, "# HELP %s ", name);
    put_escaped(out, help);
    text_append(out, "\n", 1);
}

static void put_series(struct api_metrics *metrics, const char *suffix,
                       const struct api_label *labels)
{
    struct text *out = &metrics->text;
    text_append(out, metrics->name, metrics->name_size);
    text_puts(out, suffix);
    for (size_t i = 0; labels && labels[i].name; i++) {
        text_append(out, i ? "," : "{", 1);
        text_puts(out, labels[i].name);
        text_append(out, "=\"", 2);
        put_escaped(out, labels[i].value);
        text_append(out, "\"", 1);
    }
    text_append(out, "} ", labels && labels[0].name ? 2 : 0);
    text_append(out, " ", labels && labels[0].name ? 0 : 1);
}

void api_metrics_integer(struct api_metrics *metrics, const char *suffix,
                         const struct api_label *labels, uint64_t value)
{
    put_series(metrics, suffix, labels);
    put_number(&metrics->text, value);
}

void api_metrics_real(struct api_metrics *metrics, const char *suffix,
                      const struct api_label *labels, double value)
{
    put_series(metrics, suffix, labels);
    if (value >= 0 && value < 1e15 && value == (double)(uint64_t)value)
        put_number(&metrics->text, (uint64_t)value);
    else if (isnan(value))
        text_puts(&metrics->text, "NaN\n");
    else if (isinf(value))
        text_puts(&metrics->text, value > 0 ? "+Inf\n" : "-Inf\n");
    else
        text_printf(&metrics->text, "%.9g\n", value);
}

void api_metrics_text(struct api_metrics *metrics, const char *text, size_t size)
{
    text_append(&metrics->text, text, size);
}
