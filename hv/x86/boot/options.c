/* SPDX-License-Identifier: MIT */
/* Parsing of the command line, one handler an option. Compiled for the host too, for its tests. */
#include "hv/x86/boot/options.h"

#include "hv/core/text.h"
#include "hv/x86/console.h"

#define WORD_SIZE 64 /* no option is longer */

static bool parse_console(const char *value, struct options *options)
{
    uint64_t port;
    if (text_equal(value, "com1"))
        options->console_port = CONSOLE_PORT_COM1;
    else if (text_equal(value, "com2"))
        options->console_port = CONSOLE_PORT_COM2;
    else if (text_equal(value, "none"))
        options->console_port = CONSOLE_PORT_NONE;
    else if (text_parse_number(value, &port) && port > 0 && port <= 0xfff8)
        options->console_port = (uint16_t)port;
    else
        return false;
    return true;
}

static bool parse_log_level(const char *value, struct options *options)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        if (text_equal(value, names[i])) {
            options->log_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static bool parse_lps(const char *value, struct options *options)
{
    uint64_t number;
    if (!text_parse_number(value, &number) || number == 0 || number > 1024)
        return false;
    options->lps = (uint32_t)number;
    return true;
}

static bool parse_parent_memory(const char *value, struct options *options)
{
    return text_parse_size(value, &options->parent_memory) && options->parent_memory != 0;
}

static const struct {
    const char *prefix;
    bool (*parse)(const char *value, struct options *options);
    const char *allowed;
} option_table[] = {
    {"console=", parse_console, "com1, com2, a port like 0x3f8, or none"},
    {"loglevel=", parse_log_level, "error, warning, info or debug"},
    {"lps=", parse_lps, "a number from 1"},
    {"parent_memory=", parse_parent_memory, "a size like 4G or 512M"},
};

static bool fail(char *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_format(error, OPTIONS_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

static bool parse_word(const char *word, struct options *options, char *error)
{
    for (unsigned i = 0; i < ARRAY_COUNT(option_table); i++) {
        const char *value = text_after(word, option_table[i].prefix);
        if (value == NULL)
            continue;
        if (option_table[i].parse(value, options))
            return true;
        return fail(error, "option '%s' is not understood: give %s", word, option_table[i].allowed);
    }
    return fail(error, "unknown option '%s' (known: console=, loglevel=, lps=, parent_memory=)",
                word);
}

bool options_parse(const char *command_line, struct options *options,
                   char error[OPTIONS_ERROR_SIZE])
{
    *options = (struct options){.console_port = CONSOLE_PORT_COM1, .log_level = LOG_INFO};
    const char *at = command_line;
    while (*at != '\0') {
        if (*at == ' ') {
            at++;
            continue;
        }
        char word[WORD_SIZE];
        size_t length = 0;
        for (; *at != '\0' && *at != ' ' && length < sizeof word - 1; at++)
            word[length++] = *at;
        word[length] = '\0';
        if (*at != '\0' && *at != ' ')
            return fail(error, "option '%s...' is too long", word);
        if (!parse_word(word, options, error))
            return false;
    }
    return true;
}
