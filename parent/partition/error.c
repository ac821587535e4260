/* SPDX-License-Identifier: MIT */
#include "parent/partition/error.h"

#include <stdarg.h>
#include <stdio.h>

bool bh_error_set(struct bh_error *error, int number, const char *format, ...)
{
    va_list arguments;

    error->number = number;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start did */
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return false;
}
