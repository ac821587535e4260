/* SPDX-License-Identifier: MIT */
/*
 * Who may call: users, tokens and client certificates, kept in memory for the
 * server's threads and read again whenever one of them changes.
 *
 * A token is "bh_", 8 hexadecimal digits that name it, "_", and 256 random bits
 * in hexadecimal. The server keeps SHA-256 of the whole.
 */
#ifndef MGMTD_TRUST_H
#define MGMTD_TRUST_H

#include "mgmtd/change.h"

struct trust;

struct trust *trust_open(struct daemon *daemon);
void trust_close(struct trust *trust);

/* Reads everything again. Any thread. */
bool trust_reload(struct trust *trust);

/* For struct api_backend; their context is the daemon. */
bool trust_token(void *context, const char *token, struct api_caller *caller);
bool trust_certificate(void *context, const unsigned char *der, size_t size,
                       struct api_caller *caller);
bool trust_peer(void *context, uid_t uid, gid_t gid, struct api_caller *caller);
bool trust_valid(void *context, const struct api_caller *caller);

/* Writes the last uses of tokens to the database. */
void trust_save_uses(struct trust *trust);

enum api_role role_parse(const char *name);
const char *role_name(enum api_role role);

/* The lesser of two roles. */
enum api_role role_least(enum api_role a, enum api_role b);

/* --- Plans for the table of mutations --- */
bool user_plan_create(struct change *change);
bool user_plan_update(struct change *change);
bool user_plan_delete(struct change *change);
bool token_plan_create(struct change *change);
bool token_plan_delete(struct change *change);
bool certificate_plan_create(struct change *change);

#define TOKEN_SECRET_SIZE 80

/* A new secret and its hash. False without randomness. */
bool token_make(char secret[TOKEN_SECRET_SIZE], uint8_t hash[SHA256_SIZE]);

/* The first administrator, when there is none: its secret, to be printed once. "": there was one.
 */
bool trust_first(struct daemon *daemon, char secret[TOKEN_SECRET_SIZE], char *message, size_t size);

#endif
