/* SPDX-License-Identifier: MIT */
/*
 * A load of one kind on a network card, over TCP. What goes over is not looked at.
 *
 *   net_load serve PORT
 *   net_load send|receive|ask ADDRESS PORT COUNT
 *
 * COUNT KiB are sent, or asked for and received; or COUNT requests of one byte are sent, each when
 * the answer to the one before, of one byte, has come. Prints "ticks N": of the time-stamp counter,
 * for one KiB or one request. A stream ends when the other side has said that it has all.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#define CHUNK 65536u
#define KIB   1024u

enum kind { SEND, RECEIVE, ASK };

/* The first thing that the client says. */
struct wish {
    uint32_t kind;
    uint32_t count;
};

static uint8_t buffer[CHUNK];

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static void give(int stream, uint64_t left)
{
    while (left > 0) {
        ssize_t part = write(stream, buffer, left < CHUNK ? (size_t)left : CHUNK);

        if (part <= 0)
            give_up("net_load: write");
        left -= (uint64_t)part;
    }
}

static void take(int stream, uint64_t left)
{
    while (left > 0) {
        ssize_t part = read(stream, buffer, left < CHUNK ? (size_t)left : CHUNK);

        if (part <= 0)
            give_up("net_load: read");
        left -= (uint64_t)part;
    }
}

/* Each side does its part of a wish; the client's is the first to speak. */
static void serve_wish(int stream, const struct wish *wish)
{
    if (wish->kind == SEND) {
        take(stream, (uint64_t)wish->count * KIB);
        give(stream, 1);
    } else if (wish->kind == RECEIVE) {
        give(stream, (uint64_t)wish->count * KIB);
    } else {
        for (uint32_t i = 0; i < wish->count; i++) {
            take(stream, 1);
            give(stream, 1);
        }
    }
}

static void make_wish(int stream, const struct wish *wish)
{
    if (wish->kind == SEND) {
        give(stream, (uint64_t)wish->count * KIB);
        take(stream, 1);
    } else if (wish->kind == RECEIVE) {
        take(stream, (uint64_t)wish->count * KIB);
    } else {
        for (uint32_t i = 0; i < wish->count; i++) {
            give(stream, 1);
            take(stream, 1);
        }
    }
}

static void say_at_once(int stream)
{
    const int on = 1;

    if (setsockopt(stream, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        give_up("net_load: TCP_NODELAY");
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};

    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        give_up(host);
    return address;
}

static _Noreturn void serve(const char *port)
{
    struct sockaddr_in address = address_of("0.0.0.0", port);
    int door = socket(AF_INET, SOCK_STREAM, 0);
    struct wish wish;

    if (door < 0 || bind(door, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(door, 4) != 0)
        give_up("net_load: listen");
    for (;;) {
        int stream = accept(door, NULL, NULL);

        if (stream < 0)
            give_up("net_load: accept");
        say_at_once(stream);
        if (read(stream, &wish, sizeof(wish)) == (ssize_t)sizeof(wish))
            serve_wish(stream, &wish);
        (void)close(stream);
    }
}

static int ask(enum kind kind, char **argv)
{
    struct sockaddr_in address = address_of(argv[2], argv[3]);
    struct wish wish = {kind, (uint32_t)strtoul(argv[4], NULL, 10)};
    int stream = socket(AF_INET, SOCK_STREAM, 0);
    uint64_t began;

    if (wish.count == 0)
        return 2;
    if (stream < 0 || connect(stream, (struct sockaddr *)&address, sizeof(address)) != 0)
        give_up("net_load: connect");
    say_at_once(stream);
    began = __rdtsc();
    if (write(stream, &wish, sizeof(wish)) != (ssize_t)sizeof(wish))
        give_up("net_load: write");
    make_wish(stream, &wish);
    printf("ticks %llu\n", (unsigned long long)((__rdtsc() - began) / wish.count));
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const kinds[] = {"send", "receive", "ask"};

    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        serve(argv[2]);
    for (unsigned i = 0; argc == 5 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(argv[1], kinds[i]) == 0)
            return ask((enum kind)i, argv);
    return 2;
}
