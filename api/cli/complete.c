/* SPDX-License-Identifier: MIT */
/*
 * Completion: the shells' scripts ask `bh complete WORD...` what may come next.
 */
#include "api/cli/command.h"

#include <stdio.h>
#include <string.h>

static const char *const plain_commands[] = {"console", "events", "top",       "api",
                                             "context", "help",   "completion"};

static void offer(const char *candidate, const char *begun)
{
    if (strncmp(candidate, begun, strlen(begun)) == 0)
        printf("%s\n", candidate);
}

static void offer_commands(const char *begun)
{
    for (size_t i = 0; i < kind_count; i++)
        offer(kinds[i].name, begun);
    for (size_t i = 0; i < sizeof plain_commands / sizeof plain_commands[0]; i++)
        offer(plain_commands[i], begun);
}

static void offer_names(const struct command *command, const char *path, const char *begun)
{
    json_t *items = object_list(command->client, path, NULL, "name");
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name)
            offer(name, begun);
    }
    json_decref(items);
}

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < kind_count; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* words: those after bh; the last one is being typed. */
int complete_command(const struct command *command)
{
    const char *begun = command->count ? command->words[command->count - 1] : "";
    const struct kind *kind = command->count > 1 ? find_kind(command->words[0]) : NULL;
    if (command->count <= 1) {
        offer_commands(begun);
    } else if (kind && command->count == 2) {
        for (const struct verb *verb = kind->verbs; verb->name; verb++)
            offer(verb->name, begun);
        if (strcmp(kind->name, "image") == 0)
            offer("upload", begun);
    } else if (kind) {
        offer_names(command, strstr(kind->collection, "%s") ? "/v1/vms" : kind->collection, begun);
    } else if (strcmp(command->words[0], "console") == 0) {
        offer_names(command, "/v1/vms", begun);
    }
    return 0;
}

int completion_script(const struct command *command)
{
    const char *shell = command->count ? command->words[0] : "";
    if (strcmp(shell, "bash") == 0)
        printf("_bh() { mapfile -t COMPREPLY < <(bh complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
               "2>/dev/null); }\n"
               "complete -o default -F _bh bh\n");
    else if (strcmp(shell, "zsh") == 0)
        printf("#compdef bh\n_bh() { compadd -- ${(f)\"$(bh complete ${words[2,CURRENT]} "
               "2>/dev/null)\"}; }\n"
               "compdef _bh bh\n");
    else if (strcmp(shell, "fish") == 0)
        printf("complete -c bh -f -a '(bh complete (commandline -opc)[2..] (commandline -ct) "
               "2>/dev/null)'\n");
    else
        fprintf(stderr, "usage: bh completion bash|zsh|fish\n");
    return *shell ? 0 : 2;
}
