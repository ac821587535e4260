/* SPDX-License-Identifier: MIT */
#include "parent/worker/console.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define KEPT        BH_CONSOLE_KEPT
#define READERS_MAX 32u
#define INPUT_MAX   4096u

/* Output waits this long for more: readers then wake for a line, not for each byte of it. */
#define OUTPUT_WAIT_NS 2000000
#define AT_ONCE_NS     1

struct reader {
    int fd; /* -1: free */
    uint64_t position;
    uint32_t events; /* that epoll watches */
};

struct bh_console {
    size_t (*input)(void *context, const uint8_t *data, size_t length);
    void *context;
    int epoll;
    int wake;             /* timerfd: there is output, or room for input */
    pthread_mutex_t lock; /* of the next three */
    uint64_t end;         /* bytes ever written */
    uint8_t *kept;
    bool woken;
    struct reader reader[READERS_MAX];
    uint8_t pending[INPUT_MAX]; /* input that the guest did not take yet */
    size_t pending_count;
    uint64_t in_bytes;
};

static bool watch(const struct bh_console *console, int operation, int fd, uint32_t events,
                  struct reader *reader)
{
    struct epoll_event event = {.events = events, .data = {.ptr = reader}};

    return epoll_ctl(console->epoll, operation, fd, &event) == 0;
}

struct bh_console *bh_console_create(size_t (*input)(void *context, const uint8_t *data,
                                                     size_t length),
                                     void *context, uint8_t *kept, uint64_t end)
{
    struct bh_console *console = calloc(1, sizeof(*console));

    if (console == NULL)
        return NULL;
    console->input = input;
    console->context = context;
    (void)pthread_mutex_init(&console->lock, NULL);
    for (unsigned i = 0; i < READERS_MAX; i++)
        console->reader[i].fd = -1;
    console->kept = kept;
    console->end = end;
    console->epoll = epoll_create1(EPOLL_CLOEXEC);
    console->wake = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (console->epoll >= 0 && console->wake >= 0 &&
        watch(console, EPOLL_CTL_ADD, console->wake, EPOLLIN, NULL))
        return console;
    bh_console_destroy(console);
    return NULL;
}

static void close_reader(struct reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd);
    *reader = (struct reader){.fd = -1};
}

void bh_console_destroy(struct bh_console *console)
{
    if (console == NULL)
        return;
    for (unsigned i = 0; i < READERS_MAX; i++)
        close_reader(&console->reader[i]);
    if (console->epoll >= 0)
        (void)close(console->epoll);
    if (console->wake >= 0)
        (void)close(console->wake);
    free(console);
}

int bh_console_fd(const struct bh_console *console)
{
    return console->epoll;
}

static void wake(const struct bh_console *console, long nanoseconds)
{
    const struct itimerspec time = {.it_value = {.tv_nsec = nanoseconds}};

    (void)timerfd_settime(console->wake, 0, &time, NULL);
}

void bh_console_output(struct bh_console *console, uint8_t byte)
{
    bool first;

    (void)pthread_mutex_lock(&console->lock);
    console->kept[console->end++ % KEPT] = byte;
    first = !console->woken;
    console->woken = true;
    (void)pthread_mutex_unlock(&console->lock);
    if (first)
        wake(console, OUTPUT_WAIT_NS);
}

void bh_console_input_wanted(struct bh_console *console)
{
    wake(console, AT_ONCE_NS);
}

/* Copies what is kept from *position on; false when it is no longer kept. */
static bool take(struct bh_console *console, uint64_t position, uint8_t *buffer, size_t size,
                 size_t *length)
{
    bool kept;

    (void)pthread_mutex_lock(&console->lock);
    kept = console->end - position <= KEPT;
    *length = console->end - position < size ? (size_t)(console->end - position) : size;
    for (size_t i = 0; kept && i < *length; i++)
        buffer[i] = console->kept[(position + i) % KEPT];
    (void)pthread_mutex_unlock(&console->lock);
    return kept;
}

/* Input is read while there is room for it; room to write is waited for when output is left. */
static void set_interest(struct bh_console *console, struct reader *reader, bool output_left)
{
    uint32_t events = (console->pending_count < INPUT_MAX ? (uint32_t)EPOLLIN : 0u) |
                      (output_left ? (uint32_t)EPOLLOUT : 0u);

    if (events != reader->events && watch(console, EPOLL_CTL_MOD, reader->fd, events, reader))
        reader->events = events;
}

static void flush_reader(struct bh_console *console, struct reader *reader)
{
    uint8_t buffer[16384];
    size_t length;

    for (;;) {
        ssize_t sent;

        if (!take(console, reader->position, buffer, sizeof(buffer), &length)) {
            close_reader(reader);
            return;
        }
        sent = length > 0 ? send(reader->fd, buffer, length, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            close_reader(reader);
            return;
        }
        if (sent <= 0) {
            set_interest(console, reader, length > 0);
            return;
        }
        reader->position += (uint64_t)sent;
    }
}

/* Gives the guest what it has room for. */
static void feed_guest(struct bh_console *console)
{
    size_t taken;

    if (console->pending_count == 0)
        return;
    taken = console->input(console->context, console->pending, console->pending_count);
    console->pending_count -= taken;
    console->in_bytes += taken;
    memmove(console->pending, console->pending + taken, console->pending_count);
}

/* Input for which there is no room stays in the socket. */
static void read_reader(struct bh_console *console, struct reader *reader)
{
    size_t room = INPUT_MAX - console->pending_count;
    ssize_t got =
        room > 0 ? recv(reader->fd, console->pending + console->pending_count, room, MSG_DONTWAIT)
                 : -1;

    if (got == 0 || (got < 0 && room > 0 && errno != EAGAIN && errno != EINTR)) {
        close_reader(reader);
        return;
    }
    if (got > 0)
        console->pending_count += (size_t)got;
    feed_guest(console);
    flush_reader(console, reader);
}

static void serve_wake(struct bh_console *console)
{
    uint64_t count;

    (void)!read(console->wake, &count, sizeof(count));
    (void)pthread_mutex_lock(&console->lock);
    console->woken = false;
    (void)pthread_mutex_unlock(&console->lock);
    feed_guest(console);
    for (unsigned i = 0; i < READERS_MAX; i++)
        if (console->reader[i].fd >= 0)
            flush_reader(console, &console->reader[i]);
}

void bh_console_serve(struct bh_console *console)
{
    struct epoll_event events[READERS_MAX + 1];
    int count = epoll_wait(console->epoll, events, READERS_MAX + 1, 0);

    for (int i = 0; i < count; i++) {
        struct reader *reader = events[i].data.ptr;

        if (reader == NULL) {
            serve_wake(console);
            continue;
        }
        if (reader->fd >= 0 && (events[i].events & EPOLLIN) != 0)
            read_reader(console, reader);
        if (reader->fd >= 0 && (events[i].events & (EPOLLHUP | EPOLLERR)) != 0)
            close_reader(reader);
        if (reader->fd >= 0 && (events[i].events & EPOLLOUT) != 0)
            flush_reader(console, reader);
    }
}

static struct reader *find_free(struct bh_console *console)
{
    for (unsigned i = 0; i < READERS_MAX; i++)
        if (console->reader[i].fd < 0)
            return &console->reader[i];
    return NULL;
}

int bh_console_attach(struct bh_console *console, size_t replay_bytes,
                      struct bh_console_replay *replay)
{
    struct reader *reader = find_free(console);
    int pair[2];

    if (reader == NULL) {
        errno = EMFILE;
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    reader->fd = pair[0];
    (void)pthread_mutex_lock(&console->lock);
    replay->bytes = console->end < replay_bytes ? (size_t)console->end : replay_bytes;
    if (replay->bytes > KEPT)
        replay->bytes = KEPT;
    replay->position = console->end - replay->bytes;
    reader->position = replay->position;
    reader->events = EPOLLIN;
    (void)pthread_mutex_unlock(&console->lock);
    if (!watch(console, EPOLL_CTL_ADD, reader->fd, EPOLLIN, reader)) {
        close_reader(reader);
        (void)close(pair[1]);
        return -1;
    }
    flush_reader(console, reader);
    return pair[1];
}

struct bh_console_stats bh_console_get_stats(struct bh_console *console)
{
    struct bh_console_stats stats = {.in_bytes = console->in_bytes};

    (void)pthread_mutex_lock(&console->lock);
    stats.out_bytes = console->end;
    (void)pthread_mutex_unlock(&console->lock);
    return stats;
}
