/* SPDX-License-Identifier: MIT */
/* Lines of the control protocol, from either side, and configuration files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parent/control/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_request(const char *line, size_t length)
{
    struct bh_control_request request;
    struct bh_control_error error;
    char *again;

    if (!bh_control_request_parse(line, length, &request, &error)) {
        free(bh_control_encode_error(request.id, &error));
        return;
    }
    again = bh_control_encode_request(request.id, request.method, json_incref(request.params));
    bh_control_request_release(&request);
    /* What was understood once is understood after a round trip. */
    if (again == NULL || !bh_control_request_parse(again, strlen(again) - 1, &request, &error))
        abort();
    bh_control_request_release(&request);
    free(again);
}

static void fuzz_message(const char *line, size_t length)
{
    struct bh_control_message message;
    struct bh_control_error error;

    if (bh_control_message_parse(line, length, &message, &error))
        bh_control_message_release(&message);
}

static void fuzz_config(const char *text, size_t length)
{
    static struct bh_vm_config config;
    struct bh_control_error error;
    json_t *document = json_loadb(text, length, 0, NULL);

    if (document != NULL)
        (void)bh_vm_config_parse(document, &config, &error);
    json_decref(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_request((const char *)data, size);
    fuzz_message((const char *)data, size);
    fuzz_config((const char *)data, size);
    return 0;
}
