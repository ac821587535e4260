/* SPDX-License-Identifier: MIT */
#include "parent/control/export.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "/usr/bin/qemu-nbd"

/* For the slowest host; it takes some 50 ms. */
#define GREETING_MS 30000

/* For the one before to write its last data. */
#define END_MS  5000
#define STEP_MS 20

/* Where the server finds what it inherits. */
#define LISTENER 3 /* as sd_listen_fds(3) has it */
#define IMAGE    4
#define IMAGE_AT "/proc/self/fd/4"

struct start {
    const struct bh_export *export;
    int image;  /* the open file */
    int report; /* to the caller: a line with two descriptors, then what the server complains of */
    bool privileged;
    bool direct;
    pid_t caller;
};

/* --- In the new process: only what is safe between fork and exec ------------------------- */

/* Digits of a process id behind what is there already. */
static void append_number(char *text, size_t size, pid_t number)
{
    size_t used = strnlen(text, size);
    char digits[12];
    size_t count = 0;

    for (; number > 0; number /= 10)
        digits[count++] = (char)('0' + number % 10);
    while (count > 0 && used + 1 < size)
        text[used++] = digits[--count];
    text[used] = '\0';
}

/* Of the two sockets, one to be given to the server and one that is connected to it already. */
static bool make_connection(int *listener, int *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = offsetof(struct sockaddr_un, sun_path); /* the kernel finds a name */

    *listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*listener < 0 || *client < 0 ||
        bind(*listener, (const struct sockaddr *)&address, size) != 0 || listen(*listener, 1) != 0)
        return false;
    size = sizeof(address);
    return getsockname(*listener, (struct sockaddr *)&address, &size) == 0 &&
           connect(*client, (const struct sockaddr *)&address, size) == 0;
}

static bool send_descriptors(int report, int client, int self)
{
    char byte = 0;
    struct iovec line = {&byte, 1};
    const int both[2] = {client, self};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(both))];
    } control = {.bytes = ""};
    struct msghdr message = {.msg_iov = &line,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};

    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(both));
    memcpy(CMSG_DATA(&control.head), both, sizeof(both));
    return sendmsg(report, &message, MSG_NOSIGNAL) == 1;
}

/* Raw calls: those of the C library would tell the other threads, which are not here. */
static bool become(long user)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {{0}, {0}};

    if (user != 0 &&
        (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, user, user, user) != 0 ||
         syscall(SYS_setresuid, user, user, user) != 0))
        return false;
    return syscall(SYS_capset, &header, none) == 0;
}

/* Also where no file can be made: nothing here leaves a trace in the file system. */
static bool lock_in(const struct start *start)
{
    if (setsid() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    if (start->privileged && !become(start->export->user))
        return false;
    return !start->export->attended ||
           (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) == 0 && getppid() == start->caller);
}

/* Numbers of descriptors from 5 on are free for the moment between. */
static bool place_descriptors(const struct start *start, int listener)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    int image = fcntl(start->image, F_DUPFD_CLOEXEC, 10);
    int listen_at = fcntl(listener, F_DUPFD_CLOEXEC, 10);
    int report = fcntl(start->report, F_DUPFD_CLOEXEC, 10);

    return nothing >= 0 && dup2(nothing, 0) == 0 && dup2(nothing, 1) == 1 && dup2(report, 2) == 2 &&
           dup2(listen_at, LISTENER) == LISTENER && dup2(image, IMAGE) == IMAGE &&
           close_range(IMAGE + 1, ~0u, 0) == 0;
}

static void run_program(const struct start *start)
{
    char listen_pid[32] = "LISTEN_PID=";
    char format[32] = "--format=";
    char *const environment[] = {listen_pid, "LISTEN_FDS=1", "LC_ALL=C.UTF-8", NULL};
    char *const arguments[] = {PROGRAM,
                               format,
                               start->direct ? "--cache=none" : "--cache=writeback",
                               "--discard=unmap",
                               IMAGE_AT,
                               start->export->read_only ? "--read-only" : NULL,
                               NULL};

    append_number(listen_pid, sizeof(listen_pid), getpid());
    strncat(format, start->export->format, sizeof(format) - strlen(format) - 1);
    (void)execve(PROGRAM, arguments, environment);
}

static void complain(int report, const char *what)
{
    const char *why = strerrordesc_np(errno);

    (void)(write(report, what, strlen(what)) + write(report, ": ", 2) +
           write(report, why, strlen(why)));
}

static _Noreturn void become_server(const struct start *start)
{
    int report = start->report;
    sigset_t none;
    int listener;
    int client;
    int self;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* The listener's name is in a network of its own, where nobody else can connect to it. */
    if (start->privileged && unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
        complain(report, "namespaces");
        _exit(1);
    }
    self = pidfd_open(getpid(), 0);
    if (self < 0 || !make_connection(&listener, &client) ||
        !send_descriptors(report, client, self)) {
        complain(report, "a connection");
        _exit(1);
    }
    if (lock_in(start) && place_descriptors(start, listener)) {
        report = 2;
        run_program(start);
    }
    complain(report, PROGRAM);
    _exit(1);
}

/* --- In the caller ------------------------------------------------------------------------ */

/* An orphan unless it is attended: then nobody has to wait for it. */
static bool start_server(const struct start *start)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (start->export->attended || fork() == 0)
            become_server(start);
        _exit(0);
    }
    if (pid > 0 && !start->export->attended)
        (void)waitpid(pid, NULL, 0);
    return pid > 0;
}

static bool receive_descriptors(int report, int *client, int *server)
{
    char byte;
    struct iovec line = {&byte, 1};
    int both[2];
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(both))];
    } control;
    struct msghdr message = {.msg_iov = &line,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};

    if (recvmsg(report, &message, MSG_CMSG_CLOEXEC) != 1 ||
        message.msg_controllen < CMSG_SPACE(sizeof(both)))
        return false;
    memcpy(both, CMSG_DATA(&control.head), sizeof(both));
    *client = both[0];
    *server = both[1];
    return true;
}

/* It greets, or ends with a complaint. */
static bool await_greeting(int client, int report, char *said, size_t size)
{
    struct pollfd fds[] = {{.fd = client, .events = POLLIN}, {.fd = report, .events = POLLIN}};
    size_t used = 0;
    char byte;

    for (;;) {
        ssize_t got;

        if (poll(fds, 2, GREETING_MS) <= 0) {
            (void)snprintf(said, size, "it does not answer");
            return false;
        }
        if (fds[0].revents != 0 && recv(client, &byte, 1, MSG_PEEK) == 1)
            return true;
        if (fds[0].revents != 0)
            fds[0].fd = -1; /* it has ended: what it said is on its way */
        if (fds[1].revents == 0)
            continue;
        got = read(report, said + used, size - used - 1);
        if (got <= 0)
            return false;
        used += (size_t)got;
        said[used] = '\0';
        said[strcspn(said, "\n")] = '\0';
    }
}

/* The file as raw disks are opened: past the page cache where the file system can do that. */
static int open_image(const struct bh_export *export, bool *direct)
{
    int flags = (export->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
    int fd = open(export->path, flags | O_DIRECT);

    *direct = fd >= 0;
    if (fd < 0 && errno == EINVAL)
        fd = open(export->path, flags);
    return fd;
}

static int connect_server(struct start *start, int report, int *server, char *said, size_t size)
{
    int client = -1;

    if (!start_server(start))
        (void)snprintf(said, size, "%s", strerror(errno));
    (void)close(start->report);
    if (!receive_descriptors(report, &client, server)) {
        ssize_t got = read(report, said, size - 1);

        said[got > 0 ? got : 0] = '\0';
        return -1;
    }
    if (await_greeting(client, report, said, size))
        return client;
    bh_export_settle(*server, false);
    *server = -1;
    (void)close(client);
    return -1;
}

/* QEMU locks bytes of its files. */
static bool is_served(int image)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(image, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool bh_export_await_end(int image, int timeout_ms)
{
    for (int waited = 0; is_served(image); waited += STEP_MS) {
        if (waited >= timeout_ms)
            return false;
        (void)poll(NULL, 0, STEP_MS);
    }
    return true;
}

int bh_export_open(const struct bh_export *export, int *server, struct bh_control_error *error)
{
    struct start start = {.export = export, .privileged = geteuid() == 0, .caller = getpid()};
    char said[200] = "";
    int report[2] = {-1, -1};
    int client = -1;

    *server = -1;
    start.image = open_image(export, &start.direct);
    if (start.image < 0 ||
        (start.privileged &&
         fchown(start.image, (uid_t) export->user, (gid_t) export->user) != 0) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, report) != 0) {
        (void)snprintf(said, sizeof(said), "%s", strerror(errno));
    } else {
        start.report = report[1];
        (void)bh_export_await_end(start.image,
                                  END_MS); /* else the new one says that it is locked */
        client = connect_server(&start, report[0], server, said, sizeof(said));
        (void)close(report[0]);
    }
    if (start.image >= 0)
        (void)close(start.image);
    if (client < 0)
        (void)bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "%s cannot be served: %s.",
                                   export->path, said[0] != '\0' ? said : "qemu-nbd ended");
    return client;
}

void bh_export_settle(int server, bool used)
{
    if (server < 0)
        return;
    if (!used)
        (void)pidfd_send_signal(server, SIGTERM, NULL, 0);
    (void)close(server);
}
