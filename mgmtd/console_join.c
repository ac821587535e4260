/* SPDX-License-Identifier: MIT */
/*
 * Joining a console. The worker counts its output of this run, the daemon wrote
 * down where in the scrollback the run began; the difference is what is missing.
 * While one counts, the guest goes on writing, so the counts before and after
 * attaching give a range, and the scrollback's last bytes are looked for in it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmtd/console_join.h"
#include "mgmtd/vm_table.h"
#include "mgmtd/worker.h"

#define CALL_MS   3000
#define TAIL_SIZE 4096
#define SLACK     65536 /* bytes that a guest may write between counting and attaching */

/* Bytes that the console has put out in this run. */
static int64_t count_output(struct bh_control_client *client)
{
    struct bh_control_error error;
    json_t *stats = NULL;
    int64_t made = 0;

    if (bh_control_call(client, BH_METHOD_STATS, NULL, CALL_MS, &stats, &error))
        made = json_number(json_array_get(json_object_get(stats, "consoles"), 0), "out_bytes", 0);
    json_decref(stats);
    return made;
}

/* console_attach, with the number of bytes that are replayed. */
static int attach(struct bh_control_client *client, int64_t wanted, int64_t *replayed)
{
    struct bh_control_message message;
    struct bh_control_error error;
    int64_t id = 0;
    int fd = -1;

    *replayed = 0;
    if (!bh_control_send(
            client, BH_METHOD_CONSOLE_ATTACH,
            json_pack("{s:s, s:I}", "console", "serial0", "replay_bytes", (json_int_t)wanted), &id,
            &error))
        return -1;
    while (bh_control_receive(client, CALL_MS, &message, &fd, &error) == BH_CONTROL_MESSAGE) {
        bool answer = message.kind != BH_CONTROL_EVENT && message.id == id;

        if (answer && message.kind == BH_CONTROL_RESULT)
            *replayed = json_number(message.body, "replayed_bytes", 0);
        bh_control_message_release(&message);
        if (answer)
            return fd;
    }
    return -1;
}

static bool read_replay(struct console_join *join, size_t size)
{
    struct pollfd readable = {.fd = join->fd, .events = POLLIN};

    join->replay = malloc(size ? size : 1);
    while (join->replay && join->size < size) {
        ssize_t got;

        if (poll(&readable, 1, CALL_MS) <= 0)
            return false;
        got = read(join->fd, join->replay + join->size, size - join->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        join->size += (size_t)got;
    }
    return join->replay != NULL;
}

size_t console_join_find(const char *replay, size_t size, const char *tail, size_t tail_size,
                         size_t from, size_t to)
{
    for (size_t end = from; end <= to && end <= size; end++)
        if (end >= tail_size && memcmp(replay + end - tail_size, tail, tail_size) == 0)
            return end;
    return from < size ? from : size;
}

static size_t clamp(int64_t value, size_t most)
{
    if (value < 0)
        return 0;
    return (uint64_t)value < most ? (size_t)value : most;
}

/* `have`: bytes of this run in the scrollback, which ends at `end`. */
static void find_skip(struct vms *vms, const char *id, struct console_join *join, int64_t have,
                      uint64_t end, const int64_t made[2])
{
    size_t from = clamp(have - made[1] + (int64_t)join->size, join->size);
    size_t to = clamp(have - made[0] + (int64_t)join->size, join->size);
    size_t tail_size = clamp(have, TAIL_SIZE);
    struct console_span span;
    char tail[TAIL_SIZE];

    if (tail_size > from)
        tail_size = from; /* what lies before the replay cannot be compared */
    if (vms_console_read(vms, id, end - tail_size, tail, tail_size, &span) != (ssize_t)tail_size)
        tail_size = 0;
    join->skip = console_join_find(join->replay, join->size, tail, tail_size, from, to);
}

void console_join(struct vms *vms, const char *id, struct bh_control_client *client,
                  struct console_join *join)
{
    int64_t base = (int64_t)worker_console_base(vms->daemon, id);
    struct console_span span = {.end = 0};
    int64_t made[2];
    int64_t wanted;
    int64_t replayed;
    int64_t have;
    char nothing[1];

    *join = (struct console_join){.fd = -1};
    if (vms_console_read(vms, id, UINT64_MAX, nothing, 0, &span) < 0)
        return;
    have = (int64_t)span.end > base ? (int64_t)span.end - base : 0;
    made[0] = count_output(client);
    wanted = (made[0] > have ? made[0] - have : 0) + SLACK + TAIL_SIZE;
    join->fd = attach(
        client, wanted < (int64_t)BH_CONTROL_REPLAY_MAX ? wanted : (int64_t)BH_CONTROL_REPLAY_MAX,
        &replayed);
    made[1] = count_output(client);
    if (join->fd >= 0 && read_replay(join, clamp(replayed, BH_CONTROL_REPLAY_MAX)))
        find_skip(vms, id, join, have, span.end, made);
    else
        join->size = 0;
}

void console_join_release(struct console_join *join)
{
    free(join->replay);
    join->replay = NULL;
}
