/* SPDX-License-Identifier: MIT */
/*
 * The kinds of objects and what one can do with them, as tables. Commands, help and completion all
 * come from here.
 */
#ifndef BULKHEAD_CLI_KINDS_H
#define BULKHEAD_CLI_KINDS_H

#include <stddef.h>

enum verb_shape {
    VERB_LIST,   /* bh vm list [FILTER] */
    VERB_SHOW,   /* bh vm show NAME */
    VERB_CREATE, /* bh vm create NAME key=value... */
    VERB_SET,    /* bh vm set NAME key=value... */
    VERB_DELETE, /* bh vm delete NAME... */
    VERB_ACTION, /* bh vm start NAME... [key=value...] */
    VERB_CLONE   /* bh vm clone NAME NEW [key=value...] */
};

struct verb {
    const char *name;
    enum verb_shape shape;
    const char *help;
};

struct kind {
    const char *name;
    const char *collection; /* path; with %s: the first word after the verb names the parent, and a
                               list without one is of all, at /v1 and what follows the %s */
    const char *columns;    /* of the table */
    const struct verb *verbs; /* ends with a NULL name */
};

extern const struct kind kinds[];
extern const size_t kind_count;

#endif
