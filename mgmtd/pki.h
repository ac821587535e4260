/* SPDX-License-Identifier: MIT */
/*
 * The host's own certificate authority: P-256 keys, a server certificate that
 * renews itself, client certificates signed from requests, and rotation.
 *
 * During a rotation two authorities are valid. The new authority is also signed
 * by the old one, and the server sends that with its certificate: who trusts
 * either authority can check the server, and certificates of both are accepted.
 *
 * All functions may be called from any thread.
 */
#ifndef MGMTD_PKI_H
#define MGMTD_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mgmtd/ident.h"

struct pki;

/* Loads what is in `directory`, or makes it. `names`: DNS names and addresses, ends with NULL. */
struct pki *pki_open(const char *directory, const char *const *names, char *message, size_t size);
void pki_close(struct pki *pki);

/* PEM for the caller to free: the server's chain and key; all authorities, newest first. */
char *pki_server_chain(struct pki *pki);
char *pki_server_key(struct pki *pki);
char *pki_authorities(struct pki *pki);

/* Whether a client's certificate (DER) is signed by an authority, in time and for clients. */
bool pki_verify_client(struct pki *pki, const unsigned char *der, size_t size,
                       char fingerprint[SHA256_TEXT]);

struct pki_signed {
    char *certificate; /* PEM, for the caller to free */
    char fingerprint[SHA256_TEXT];
    int64_t not_after; /* ms since 1970 */
};

/*
 * Signs the public key of a request (PEM); nothing else of the request is taken
 * over. False with `message` for the client when the request is not good.
 */
bool pki_sign_client(struct pki *pki, const char *request, const char *user, int64_t seconds,
                     struct pki_signed *out, char *message, size_t size);

/* A new authority beside the present one. One that was old before is valid no longer. */
bool pki_rotate(struct pki *pki, char *message, size_t size);

/* A new server certificate when two thirds of the present one's time are over. True: renewed. */
bool pki_renew(struct pki *pki, char *message, size_t size);

/* role: "ca" or "server"; newest first. */
typedef void pki_visitor(void *context, const char *role, const char *certificate,
                         const char *fingerprint, int64_t not_after);
void pki_visit(struct pki *pki, pki_visitor *visit, void *context);

#endif
