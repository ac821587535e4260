/* SPDX-License-Identifier: MIT */
/*
 * URIs of NBD exports, as far as a connection for a locked-in worker needs them:
 *
 *     nbd://HOST[:PORT][/EXPORT]
 *     nbd+unix:///[EXPORT]?socket=PATH
 *
 * EXPORT and PATH may have %XX for a byte. What else the specification of NBD knows
 * (TLS, user names) is refused.
 */
#ifndef PARENT_CONTROL_NBD_URI_H
#define PARENT_CONTROL_NBD_URI_H

#include <stdbool.h>

#include "parent/control/message.h"

struct bh_nbd_uri {
    char host[256]; /* empty: a Unix socket */
    char port[8];
    char socket[108];
    char name[256]; /* of the export; often empty */
};

/* By its beginning. */
bool bh_nbd_uri_is(const char *text);

/* False with `error` filled. */
bool bh_nbd_uri_parse(const char *text, struct bh_nbd_uri *uri, struct bh_control_error *error);

#endif
