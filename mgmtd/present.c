/* SPDX-License-Identifier: MIT */
#include "mgmtd/present.h"

#include <inttypes.h>
#include <string.h>

#include "db/object.h"
#include "mgmtd/network_host.h"
#include "mgmtd/operation.h"
#include "mgmtd/vms.h"

static void add_holder(struct daemon *daemon, const char *id, struct text *text)
{
    char holder[UUID_SIZE];

    if (operations_holder(daemon->operations, id, holder))
        text_member(text, "operation", holder);
    else
        text_puts(text, ",\"operation\":null");
}

static void add_console_end(struct daemon *daemon, const char *id, struct text *text)
{
    uint64_t end = vms_console_end(daemon->vms, id);

    if (end > 0)
        text_printf(text, ",\"console_end\":%" PRIu64, end);
}

struct users {
    struct text *text;
    bool any;
};

static bool add_user(void *context, const char *id, const char *kind, const char *name)
{
    struct users *users = context;

    (void)name;
    if (strcmp(kind, db_kind_name(DB_VM)) != 0)
        return true;
    text_printf(users->text, "%s\"%s\"", users->any ? "," : "", id);
    users->any = true;
    return true;
}

static void add_users(struct db *db, const char *id, struct text *text)
{
    struct users users = {.text = text};

    text_puts(text, ",\"used_by\":[");
    db_reference_users(db, id, add_user, &users);
    text_puts(text, "]");
}

void present_add(struct daemon *daemon, struct db *db, enum db_kind kind, const char *id,
                 struct text *document)
{
    if ((kind != DB_VM && kind != DB_DISK && kind != DB_IMAGE && kind != DB_NETWORK) ||
        document->failed || document->size < 2 ||
        strcmp(document->bytes + document->size - 2, "}}") != 0)
        return;
    document->size -= 2;
    add_holder(daemon, id, document);
    if (kind == DB_VM)
        add_console_end(daemon, id, document);
    else if (kind == DB_DISK)
        add_users(db, id, document);
    else if (kind == DB_NETWORK)
        text_member_integer(document, "leases", network_leases(daemon->options.run, id));
    text_puts(document, "}}");
}
