/* SPDX-License-Identifier: MIT */
/*
 * bh console VM: the guest's serial console on this terminal. Ctrl-] leaves. When the connection
 * breaks the reader goes on at the byte where it stopped.
 */
#include "api/cli/command.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

enum { KEY_LEAVE = 0x1d, RECONNECTS = 30, INPUT_ROOM = 4096 };

struct console {
    const struct command *command;
    const char *vm;
    bool read_only, leave, refused, started;
    unsigned long long offset; /* of the next byte */
    char *problem;
    size_t problem_size;
};

static struct termios saved_terminal;
static bool terminal_is_raw;

static void restore_terminal(void)
{
    if (terminal_is_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
    terminal_is_raw = false;
}

static void make_terminal_raw(void)
{
    struct termios raw;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved_terminal) != 0)
        return;
    raw = saved_terminal;
    cfmakeraw(&raw);
    terminal_is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    atexit(restore_terminal);
}

static size_t take_header(char *line, size_t one, size_t size, void *context)
{
    struct console *console = context;
    (void)one;
    if (size > 16 && strncasecmp(line, "Console-Offset: ", 16) == 0) {
        console->offset = strtoull(line + 16, NULL, 10);
        console->started = true;
    }
    return size;
}

static size_t take_output(char *bytes, size_t one, size_t size, void *context)
{
    struct console *console = context;
    (void)one;
    if (!console->started) { /* a refusal, not the console */
        char *grown = realloc(console->problem, console->problem_size + size + 1);
        if (!grown)
            return 0;
        memcpy(grown + console->problem_size, bytes, size);
        console->problem = grown;
        console->problem_size += size;
        grown[console->problem_size] = '\0';
        return size;
    }
    console->offset += size;
    return write(STDOUT_FILENO, bytes, size) == (ssize_t)size ? size : 0;
}

/* Send what was typed. */
static void type_bytes(struct console *console, const char *bytes, size_t size)
{
    char path[256];
    struct response response;
    snprintf(path, sizeof path, "/v1/vms/%s/console", console->vm);
    if (!client_send(console->command->client, "POST", path, "application/octet-stream", bytes,
                     size, &response))
        return;
    if (response.status >= 400) {
        restore_terminal();
        client_complain(&response);
        console->leave = console->refused = true;
    }
    response_free(&response);
}

static void take_input(struct console *console)
{
    char bytes[INPUT_ROOM];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got <= 0) {
        console->read_only = true; /* no more input: go on reading */
        return;
    }
    char *leave = terminal_is_raw ? memchr(bytes, KEY_LEAVE, (size_t)got) : NULL;
    size_t size = leave ? (size_t)(leave - bytes) : (size_t)got;
    if (size)
        type_bytes(console, bytes, size);
    console->leave |= leave != NULL;
}

static CURL *open_stream(struct console *console, struct curl_slist *headers)
{
    char path[320];
    CURL *stream = curl_easy_init();
    snprintf(path, sizeof path, "/v1/vms/%s/console?follow=true&write=%s&offset=%lld", console->vm,
             console->read_only ? "false" : "true",
             console->started ? (long long)console->offset : -65536LL);
    client_prepare(console->command->client, stream, path);
    curl_easy_setopt(stream, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(stream, CURLOPT_WRITEFUNCTION, take_output);
    curl_easy_setopt(stream, CURLOPT_WRITEDATA, console);
    curl_easy_setopt(stream, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(stream, CURLOPT_HEADERDATA, console);
    return stream;
}

/* Follow until the stream ends or the person leaves. */
static void follow(struct console *console, CURLM *multi)
{
    int running = 1;
    while (running && !console->leave) {
        struct curl_waitfd input = {STDIN_FILENO, CURL_WAIT_POLLIN, 0};
        unsigned watched = console->read_only ? 0 : 1;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return;
        if (running)
            curl_multi_poll(multi, &input, watched, 1000, NULL);
        if (watched && input.revents)
            take_input(console);
    }
}

static void run_once(struct console *console)
{
    struct curl_slist *headers = client_headers(console->command->client, NULL);
    CURL *stream = open_stream(console, headers);
    CURLM *multi = curl_multi_init();
    long status = 0;
    curl_multi_add_handle(multi, stream);
    follow(console, multi);
    curl_easy_getinfo(stream, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(multi, stream);
    curl_easy_cleanup(stream);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    if (status >= 400) {
        const struct response response = {
            .status = status,
            .json = console->problem ? json_loadb(console->problem, console->problem_size, 0, NULL)
                                     : NULL};
        restore_terminal();
        client_complain(&response);
        json_decref(response.json);
        console->leave = console->refused = true;
    }
}

int console_command(const struct command *command)
{
    struct console console = {.command = command};
    for (int i = 0; i < command->count; i++) {
        if (strcmp(command->words[i], "--read-only") == 0)
            console.read_only = true;
        else
            console.vm = command->words[i];
    }
    if (!console.vm) {
        fprintf(stderr, "usage: bh console VM [--read-only]\n");
        return 2;
    }
    if (!console.read_only) {
        make_terminal_raw();
        if (terminal_is_raw)
            fprintf(stderr, "Ctrl-] leaves the console of %s\r\n", console.vm);
    }
    for (int tries = 0; !console.leave && tries < RECONNECTS; tries++) {
        if (tries)
            sleep(1);
        run_once(&console);
    }
    restore_terminal();
    free(console.problem);
    if (!console.leave)
        fprintf(stderr, "bh: the server does not answer\n");
    return console.refused ? 1 : console.leave ? 0 : 3;
}
