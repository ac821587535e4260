/* SPDX-License-Identifier: MIT */
/*
 * Field selection over bytes: "fields NUL document". What comes of a good document must be good.
 */
#include "api/json_scan.h"
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *end = memchr(data, 0, size);
    struct json_fields fields;
    struct text out = {0};
    struct json_slice value;
    if (!end || !json_fields_parse(&fields, (const char *)data))
        return 0;
    const char *document = end + 1;
    size_t length = size - (size_t)(document - (const char *)data);
    json_fields_pick(&fields, document, length, &out);
    json_scan_member(document, length, "sequence", &value);
    json_t *before = json_loadb(document, length, JSON_REJECT_DUPLICATES, NULL);
    json_t *after = json_loadb(out.bytes ? out.bytes : "", out.size, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(before) && !json_is_object(after))
        abort();
    json_decref(before);
    json_decref(after);
    text_free(&out);
    json_fields_free(&fields);
    return 0;
}
