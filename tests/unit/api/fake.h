/* SPDX-License-Identifier: MIT */
/*
 * A backend in memory, for tests of the server alone. Its tokens are named after the roles
 * ("admin", "operator", "viewer", "metrics", "console"); a caller on the UNIX socket is an
 * administrator.
 */
#ifndef BULKHEAD_TESTS_API_FAKE_H
#define BULKHEAD_TESTS_API_FAKE_H

#include "api/server.h"

#define FAKE_VM "7c0b4c1e-8f5e-4d8e-9b36-0d5a3f1f2a10"

struct fake {
    struct api_backend backend;
    struct api_server *server;
    char directory[64], path[96]; /* of the UNIX socket */
};

/* Start a server on a UNIX socket in a fresh directory and on HTTPS on a free port. */
void fake_start(struct fake *fake, const struct api_limits *limits);
void fake_stop(struct fake *fake);

/* Connect to the UNIX socket, with a time-out for reads. */
int fake_connect(const struct fake *fake);
/* Send a whole request, read to the end of the answer's body or the time-out; returns bytes read
 * into answer, which ends with NUL. */
size_t fake_exchange(const struct fake *fake, const char *request, char *answer, size_t size);
/* Read what comes until text appears, the end, or the time-out. True: it appeared. */
bool fake_read_until(int fd, char *answer, size_t size, const char *text);
void fake_send(int fd, const char *text);

/* State that tests look at or change. */
extern char fake_typed[256];     /* what was typed into the console */
extern char fake_uploaded[1024]; /* what was uploaded */
extern int64_t fake_upload_offset, fake_upload_total;
extern _Atomic bool fake_trusts_certificates; /* any certificate is a viewer's */
extern _Atomic bool fake_revoked;             /* caller_valid answers false */
extern _Atomic unsigned
    fake_delay_ms;                  /* before handle() answers, from another thread; 0: at once */
extern _Atomic unsigned fake_lists; /* calls of list() */
extern _Atomic unsigned fake_scrapes, fake_scrape_ms; /* calls of metrics(), how long each takes */
extern json_t *fake_body;                             /* of the last request to handle() */
void fake_event(struct fake *fake, const char *type); /* append one event */
void fake_trim(uint64_t oldest);
void fake_print(struct fake *fake, const char *text); /* the guest writes to its console */
void fake_change(void);                               /* the collection of VMs changed */

#endif
