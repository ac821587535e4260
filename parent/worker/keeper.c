/* SPDX-License-Identifier: MIT */
#include "parent/worker/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vsp/storage/uring.h"

#define SERVERS_MS 30000 /* for a server to write what it has; it takes some 10 ms */
#define STEP_MS    10
#define SOON_NS    1000000000ull /* a worker that falls before has done nothing useful */

enum operation { PUT, FETCH_RING, DROP_RUN, END, REFUSED };

struct request {
    uint32_t operation;
    uint32_t name; /* of FETCH_RING: the worker's number of the descriptor; of the first END: 1 when
                      the servers of the worker before ended well */
};

/* --- messages ----------------------------------------------------------------------------- */

union control {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

/* One request, with a descriptor when `fd` is not -1. */
static bool send_request(int socket, struct request request, int fd)
{
    union control control = {.bytes = {0}};
    struct iovec data = {&request, sizeof(request)};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    struct cmsghdr *header;

    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(request);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* The one descriptor of a message; of any other number none stays open. */
static int take_fd(struct msghdr *message)
{
    const struct cmsghdr *header = CMSG_FIRSTHDR(message);
    int fds[sizeof(union control) / sizeof(int)];
    size_t count;

    if (header == NULL || header->cmsg_type != SCM_RIGHTS)
        return -1;
    count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    if (count == 1)
        return fds[0];
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]);
    return -1;
}

/* False at the end, and for what is no request. *fd is -1 when none came along. */
static bool receive_request(int socket, struct request *request, int *fd)
{
    union control control;
    struct iovec data = {request, sizeof(*request)};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t got;

    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    *fd = got > 0 ? take_fd(&message) : -1;
    if (got == (ssize_t)sizeof(*request))
        return true;
    close_fd(fd);
    return false;
}

/* --- the keeper --------------------------------------------------------------------------- */

struct keeper {
    char **argv;
    int signals;
    int socket;
    pid_t worker;
    bool told;      /* to end, by a signal that went on to the worker */
    unsigned falls; /* in a row, each soon after the start */
    uint64_t began;
    int ring; /* the worker's io_uring; -1: none */
    bool servers_ended;
    int fd[BH_KEPT_COUNT];
};

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void close_from(struct keeper *keeper, unsigned first)
{
    for (unsigned i = first; i < BH_KEPT_COUNT; i++) {
        close_fd(&keeper->fd[i]);
    }
}

static bool fetch_ring(struct keeper *keeper, uint32_t number)
{
    int process = (int)syscall(SYS_pidfd_open, keeper->worker, 0);

    close_fd(&keeper->ring);
    keeper->ring = process >= 0 ? (int)syscall(SYS_pidfd_getfd, process, number, 0) : -1;
    if (process >= 0)
        (void)close(process);
    return keeper->ring >= 0;
}

static void serve(struct keeper *keeper)
{
    struct request answer = {END, 0};
    struct request request;
    int fd;

    if (!receive_request(keeper->socket, &request, &fd))
        return;
    if (request.operation == PUT && request.name < BH_KEPT_COUNT) {
        close_fd(&keeper->fd[request.name]);
        keeper->fd[request.name] = fd;
        fd = -1;
    } else if (request.operation == DROP_RUN) {
        close_from(keeper, BH_KEPT_PARTITION);
    } else if (request.operation == FETCH_RING && !fetch_ring(keeper, request.name)) {
        answer.operation = REFUSED;
    }
    close_fd(&fd); /* that came with something else */
    (void)send_request(keeper->socket, answer, -1);
}

/* In the child: becomes the worker. It dies with its keeper (see bh_kept_open). */
static _Noreturn void become_worker(const struct keeper *keeper, int socket)
{
    char number[16];
    sigset_t none;
    unsigned last = 0;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    while (keeper->argv[last] != NULL)
        last++;
    (void)snprintf(number, sizeof(number), "%d", socket);
    keeper->argv[last] = number;
    (void)execv("/proc/self/exe", keeper->argv);
    (void)fprintf(stderr, "bulkhead-worker: it cannot be started: %s\n", strerror(errno));
    _exit(1);
}

static bool start_worker(struct keeper *keeper)
{
    int pair[2];

    if (keeper->socket >= 0)
        (void)close(keeper->socket);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    keeper->socket = pair[0];
    keeper->began = now_ns();
    keeper->worker = fork();
    if (keeper->worker == 0) {
        int socket = dup(pair[1]); /* stays open over the start of the program */

        become_worker(keeper, socket);
    }
    (void)close(pair[1]);
    if (keeper->worker < 0)
        return false;
    for (uint32_t i = 0; i < BH_KEPT_COUNT; i++)
        if (keeper->fd[i] >= 0 &&
            !send_request(keeper->socket, (struct request){PUT, i}, keeper->fd[i]))
            break;
    (void)send_request(keeper->socket, (struct request){END, keeper->servers_ended}, -1);
    return true;
}

/* True when the worker is to be started again. */
static bool is_fallen(struct keeper *keeper, int status)
{
    bool soon = now_ns() - keeper->began < SOON_NS;

    if (!WIFSIGNALED(status) || keeper->told)
        return false;
    keeper->falls = soon ? keeper->falls + 1 : 1;
    (void)fprintf(stderr, "bulkhead-worker: the worker fell by signal %d%s\n", WTERMSIG(status),
                  keeper->falls < BH_KEEPER_FALLS_MAX
                      ? "; it is started again, and its guest goes on"
                      : " too often in a row; its guest ends");
    return keeper->falls < BH_KEEPER_FALLS_MAX;
}

static void pass_signal(struct keeper *keeper)
{
    struct signalfd_siginfo info;

    if (read(keeper->signals, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
        info.ssi_signo != SIGCHLD) {
        keeper->told = true;
        (void)kill(keeper->worker, (int)info.ssi_signo);
    }
}

/* What the worker had begun is over before the next one does anything. */
static bool wait_for_io(struct keeper *keeper)
{
    bool idle = keeper->ring < 0 || bh_uring_wait_idle(keeper->ring);

    keeper->ring = -1;
    if (!idle)
        (void)fprintf(stderr, "bulkhead-worker: disk I/O of the worker that fell does not end; its "
                              "guest ends\n");
    return idle;
}

/*
 * Servers of disks that the worker had started are told to end when it is gone, and are this
 * process's then. One that ends well has written what the guest holds for written.
 */
static void wait_for_servers(struct keeper *keeper)
{
    const uint64_t end = now_ns() + SERVERS_MS * UINT64_C(1000000);
    pid_t ended;
    int status;

    keeper->servers_ended = true;
    while ((ended = waitpid(-1, &status, WNOHANG)) >= 0 && keeper->servers_ended) {
        if (ended == 0)
            (void)poll(NULL, 0, STEP_MS);
        keeper->servers_ended = ended == 0 ? now_ns() < end : status == 0;
    }
}

/* Until the worker ends by itself: its exit status. */
static int keep(struct keeper *keeper)
{
    struct pollfd fds[2] = {{.fd = keeper->signals, .events = POLLIN}};
    int status;

    for (;;) {
        fds[1] = (struct pollfd){.fd = keeper->socket, .events = POLLIN};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return 1;
        if ((fds[1].revents & POLLIN) != 0)
            serve(keeper);
        if ((fds[0].revents & POLLIN) != 0)
            pass_signal(keeper);
        else if ((fds[1].revents & POLLHUP) == 0)
            continue;
        if (waitpid(keeper->worker, &status, (fds[1].revents & POLLHUP) != 0 ? 0 : WNOHANG) !=
            keeper->worker)
            continue;
        if (!is_fallen(keeper, status))
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        wait_for_servers(keeper);
        if (!wait_for_io(keeper) || !start_worker(keeper))
            return 1;
    }
}

int bh_keeper_run(char **argv, int argc)
{
    struct keeper keeper = {.socket = -1, .ring = -1, .servers_ended = true};
    sigset_t set;
    int status = 1;

    memset(keeper.fd, -1, sizeof(keeper.fd));
    keeper.argv = calloc((size_t)argc + 3, sizeof(*argv));
    if (keeper.argv == NULL)
        return 1;
    memcpy(keeper.argv, argv, (size_t)argc * sizeof(*argv));
    keeper.argv[argc] = (char[]){"--kept"};
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    keeper.signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (keeper.signals >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 &&
        start_worker(&keeper))
        status = keep(&keeper);
    else
        (void)fprintf(stderr, "bulkhead-worker: its keeper cannot begin: %s\n", strerror(errno));
    close_from(&keeper, 0);
    free(keeper.argv);
    return status;
}

/* --- the worker's side -------------------------------------------------------------------- */

bool bh_kept_open(struct bh_kept *kept, int socket, struct bh_error *error)
{
    struct request request;
    int fd;

    kept->socket = socket;
    if (socket >= 0) {
        (void)fcntl(socket, F_SETFD, FD_CLOEXEC);
        (void)prctl(PR_SET_NAME, program_invocation_short_name); /* it would be "exe" */
    }
    kept->servers_ended = true;
    memset(kept->fd, -1, sizeof(kept->fd));
    while (socket >= 0) {
        if (!receive_request(socket, &request, &fd))
            return bh_error_set(error, EPIPE, "The worker's keeper does not answer.");
        if (request.operation == END) {
            kept->servers_ended = request.name != 0;
            break;
        }
        if (request.name < BH_KEPT_COUNT)
            kept->fd[request.name] = fd;
    }
    return true;
}

/* Waits until the keeper has done it. */
static bool ask(const struct bh_kept *kept, struct request request, int fd)
{
    int none;

    return send_request(kept->socket, request, fd) &&
           receive_request(kept->socket, &request, &none) && request.operation != REFUSED;
}

bool bh_kept_put(struct bh_kept *kept, unsigned name, int fd, struct bh_error *error)
{
    if (kept->socket < 0)
        return true;
    return ask(kept, (struct request){PUT, name}, fd) ||
           bh_error_set(error, EPIPE, "The worker's keeper does not answer.");
}

bool bh_kept_put_ring(struct bh_kept *kept, int ring, struct bh_error *error)
{
    if (kept->socket < 0)
        return true;
    return ask(kept, (struct request){FETCH_RING, (uint32_t)ring}, -1) ||
           bh_error_set(error, EPERM, "The worker's keeper cannot watch its disk I/O.");
}

int bh_kept_take(struct bh_kept *kept, unsigned name)
{
    int fd = kept->fd[name];

    kept->fd[name] = -1;
    return fd;
}

void bh_kept_drop_run(struct bh_kept *kept)
{
    if (kept->socket >= 0)
        (void)ask(kept, (struct request){DROP_RUN, 0}, -1);
    for (unsigned i = BH_KEPT_PARTITION; i < BH_KEPT_COUNT; i++)
        close_fd(&kept->fd[i]);
}
