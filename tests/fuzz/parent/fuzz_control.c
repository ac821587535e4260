/* SPDX-License-Identifier: MIT */
/* Lines of the control protocol, from either side, configuration files, and NBD URIs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parent/control/config.h"
#include "parent/control/nbd_uri.h"

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

static void fuzz_uri(const char *text, size_t length)
{
    struct bh_control_error error;
    struct bh_nbd_uri uri;
    char *whole = strndup(text, length);

    /* One of the two, never both. */
    if (whole != NULL && bh_nbd_uri_parse(whole, &uri, &error) &&
        (uri.host[0] == '\0') == (uri.socket[0] == '\0'))
        abort();
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_uri((const char *)data, size);
    fuzz_request((const char *)data, size);
    fuzz_message((const char *)data, size);
    fuzz_config((const char *)data, size);
    return 0;
}
