/* SPDX-License-Identifier: MIT */
/*
 * bh api METHOD PATH [BODY]: any call, with the context's identity.
 */
#include "api/cli/command.h"

#include <stdio.h>
#include <string.h>

int raw_command(const struct command *command)
{
    struct response response;
    if (command->count < 2 || command->count > 3) {
        fprintf(stderr, "usage: bh api METHOD PATH [JSON]\n");
        return 2;
    }
    const char *body = command->count == 3 ? command->words[2] : NULL;
    if (!client_send(command->client, command->words[0], command->words[1],
                     body ? "application/json" : NULL, body, body ? strlen(body) : 0, &response))
        return 3;
    fwrite(response.body ? response.body : "", 1, response.size, stdout);
    int status = response.status < 400 ? 0 : 1;
    response_free(&response);
    return status;
}
