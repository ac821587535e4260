/* SPDX-License-Identifier: MIT */
#include "vsc/guest/options.h"

#include <stddef.h>
#include <string.h>

#include "vsc/guest/console.h"

/* A number, or four with dots between them. */
static uint32_t read_number(const char *text, size_t length)
{
    uint32_t sum = 0;
    uint32_t number = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.') {
            sum = (sum | number) << 8;
            number = 0;
        } else if (text[i] >= '0' && text[i] <= '9') {
            number = number * 10 + (uint32_t)(text[i] - '0');
        } else {
            guest_fail("options", "a value is no number");
        }
    }
    return sum | number;
}

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    {"depth", offsetof(struct options, depth)},
    {"size", offsetof(struct options, size)},
    {"requests", offsetof(struct options, requests)},
    {"seconds", offsetof(struct options, seconds)},
    {"channels", offsetof(struct options, channels)},
    {"rounds", offsetof(struct options, rounds)},
    {"lun", offsetof(struct options, lun)},
    {"sequential", offsetof(struct options, sequential)},
    {"pause", offsetof(struct options, pause)},
    {"wait", offsetof(struct options, wait)},
    {"address", offsetof(struct options, address)},
    {"peer", offsetof(struct options, peer)},
};

static void set_tests(struct options *options, const char *value, size_t length)
{
    if (length >= sizeof(options->tests))
        guest_fail("options", "the list of tests is too long");
    memcpy(options->tests, value, length);
    options->tests[length] = '\0';
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

static void set_number(struct options *options, const char *word, size_t name, size_t length)
{
    uint32_t value = read_number(word + name + 1, length - name - 1);

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (!is_word(word, name, numbers[i].name))
            continue;
        memcpy((uint8_t *)options + numbers[i].offset, &value, sizeof(value));
        return;
    }
    guest_fail("options", "there is no option of that name on the command line");
}

/* Words without a `=`, such as the kernel's own name, mean nothing. */
static void read_word(struct options *options, const char *word, size_t length)
{
    size_t name = 0;

    while (name < length && word[name] != '=')
        name++;
    if (name == length)
        return;
    if (is_word(word, name, "tests"))
        set_tests(options, word + name + 1, length - name - 1);
    else
        set_number(options, word, name, length);
}

void options_read(struct options *options, const char *command_line)
{
    *options = (struct options){.tests = "bus,storage,network,services",
                                .depth = 32,
                                .size = 4096,
                                .seconds = 1,
                                .channels = 4,
                                .rounds = 1,
                                .address = 10u << 24 | 1u << 16 | 2,
                                .peer = 10u << 24 | 1u << 16 | 1};
    while (*command_line != '\0') {
        size_t length = 0;

        while (command_line[length] != ' ' && command_line[length] != '\0')
            length++;
        read_word(options, command_line, length);
        command_line += length;
        while (*command_line == ' ')
            command_line++;
    }
}

bool options_wants(const struct options *options, const char *test)
{
    const char *at = options->tests;

    while (*at != '\0') {
        size_t length = 0;

        while (at[length] != ',' && at[length] != '\0')
            length++;
        if (is_word(at, length, test))
            return true;
        at += at[length] == ',' ? length + 1 : length;
    }
    return false;
}
