/* SPDX-License-Identifier: MIT */
/* Times, uuids, hashes and random secrets, by libc and OpenSSL. */
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mgmtd/ident.h"

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t time_now(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t time_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void time_format(int64_t time, char text[TIME_SIZE])
{
    time_t seconds = (time_t)(time / 1000);
    struct tm parts;
    size_t used;

    gmtime_r(&seconds, &parts);
    used = strftime(text, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + used, TIME_SIZE - used, ".%03dZ", (int)(time % 1000));
}

bool random_bytes(void *bytes, size_t size)
{
    return RAND_bytes(bytes, (int)size) == 1;
}

void uuid_make(char uuid[UUID_SIZE])
{
    uint8_t b[16];

    if (!random_bytes(b, sizeof(b)))
        abort(); /* no identity can be promised without randomness */
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(uuid, UUID_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

bool uuid_valid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    for (size_t i = 0; i < sizeof(form); i++) {
        bool fits = form[i] == 'x' ? text[i] && strchr("0123456789abcdef", text[i]) != NULL
                                   : text[i] == form[i];

        if (!fits)
            return false;
    }
    return true;
}

void sha256(const void *bytes, size_t size, uint8_t hash[SHA256_SIZE])
{
    SHA256(bytes, size, hash);
}

void hex_format(const uint8_t *bytes, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}
