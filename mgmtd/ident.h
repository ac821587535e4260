/* SPDX-License-Identifier: MIT */
/* Times, uuids, hashes and random secrets. Times are milliseconds since 1970 UTC. */
#ifndef MGMTD_IDENT_H
#define MGMTD_IDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_SIZE   37 /* with its NUL */
#define TIME_SIZE   32 /* of an RFC 3339 time with its NUL */
#define SHA256_SIZE 32
#define SHA256_TEXT 65 /* hexadecimal with its NUL */

int64_t time_now(void);
int64_t time_monotonic(void); /* milliseconds; only for differences */
void time_format(int64_t time, char text[TIME_SIZE]);

/* A random uuid (version 4) in lower case. */
void uuid_make(char uuid[UUID_SIZE]);
bool uuid_valid(const char *text);

/* False when the system gives no randomness; the caller must then refuse. */
bool random_bytes(void *bytes, size_t size);

void sha256(const void *bytes, size_t size, uint8_t hash[SHA256_SIZE]);
void hex_format(const uint8_t *bytes, size_t size, char *text); /* 2 * size + 1 bytes */

#endif
