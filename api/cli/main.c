/* SPDX-License-Identifier: MIT */
/*
 * bh: the command line of Bulkhead's management API.
 */
#include "api/cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct plain {
    const char *name;
    int (*run)(const struct command *command);
    const char *help;
} plains[] = {
    {"console", console_command, "VM [--read-only]  the serial console; Ctrl-] leaves"},
    {"events", events_command, "[COLUMN=VALUE] [--since N] [--follow]  what happened"},
    {"top", top_command, "what the VMs use now"},
    {"api", raw_command, "METHOD PATH [JSON]  any call"},
    {"complete", complete_command, "WORD...  what may come next, for shells"},
    {"completion", completion_script, "bash|zsh|fish  print the shell's script"},
};

static int help(FILE *out)
{
    fprintf(out, "usage: bh [--json] [--no-wait] [--verbose] [--context NAME] COMMAND\n\n");
    for (size_t i = 0; i < kind_count; i++)
        for (const struct verb *verb = kinds[i].verbs; verb->name; verb++)
            fprintf(out, "  bh %s %s %s\n", kinds[i].name, verb->name, verb->help);
    fprintf(out, "  bh image upload NAME FILE  send or go on sending the content\n");
    for (size_t i = 0; i < sizeof plains / sizeof plains[0]; i++)
        fprintf(out, "  bh %s %s\n", plains[i].name, plains[i].help);
    fprintf(
        out,
        "  bh context list | add NAME FIELD=VALUE... | use NAME | remove NAME  servers known\n\n"
        "A FIELD is a dotted path such as memory.size; a VALUE is JSON or plain text:\n"
        "  bh vm create web memory.size=512MiB boot.kernel=linux disks.root.disk=web-root\n");
    return out == stdout ? 0 : 2;
}

static int run_kind(struct command *command, const struct kind *kind)
{
    const char *name = command->count ? command->words[0] : "list";
    command->count -= command->count > 0;
    command->words++;
    if (strcmp(kind->name, "image") == 0 && strcmp(name, "upload") == 0)
        return upload_command(command);
    for (const struct verb *verb = kind->verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return object_command(command, kind, verb);
    fprintf(stderr, "bh: %s knows", kind->name);
    for (const struct verb *verb = kind->verbs; verb->name; verb++)
        fprintf(stderr, " %s", verb->name);
    fprintf(stderr, ", not %s\n", name);
    return 2;
}

static int run(struct command *command, const char *name)
{
    for (size_t i = 0; i < kind_count; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return run_kind(command, &kinds[i]);
    for (size_t i = 0; i < sizeof plains / sizeof plains[0]; i++)
        if (strcmp(plains[i].name, name) == 0)
            return plains[i].run(command);
    fprintf(stderr, "bh: there is no command %s\n\n", name);
    return help(stderr);
}

/* Read the options before the command. Returns the index of the command, or -1. */
static int read_options(int count, char **words, struct command *command, bool *verbose,
                        const char **context)
{
    int i = 1;
    for (; i < count && strncmp(words[i], "--", 2) == 0; i++) {
        if (strcmp(words[i], "--json") == 0)
            command->json = true;
        else if (strcmp(words[i], "--no-wait") == 0)
            command->no_wait = true;
        else if (strcmp(words[i], "--verbose") == 0)
            *verbose = true;
        else if (strcmp(words[i], "--context") == 0 && i + 1 < count)
            *context = words[++i];
        else
            return -1;
    }
    return i;
}

/* --json may also stand behind the command, where people put it. */
static void take_late_json(struct command *command)
{
    int kept = 0;
    for (int i = 0; i < command->count; i++) {
        if (strcmp(command->words[i], "--json") == 0)
            command->json = true;
        else
            command->words[kept++] = command->words[i];
    }
    command->count = kept;
}

int main(int count, char **words)
{
    struct command command = {0};
    struct context context;
    struct client client = {0};
    const char *context_name = NULL;
    int at = read_options(count, words, &command, &client.verbose, &context_name);
    if (at < 0 || at >= count)
        return help(stderr);
    if (strcmp(words[at], "help") == 0)
        return help(stdout);
    command.count = count - at - 1;
    command.words = words + at + 1;
    if (strcmp(words[at], "context") == 0)
        return context_command(command.count, command.words);
    take_late_json(&command);
    if (!context_find(context_name, &context))
        return 2;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    command.client = &client;
    int status = client_open(&client, &context) ? run(&command, words[at]) : 3;
    client_close(&client);
    context_free(&context);
    curl_global_cleanup();
    return status;
}
