/* SPDX-License-Identifier: MIT */
/*
 * flow serve PORT               answers on TCP and UDP with what it hears
 * flow tcp ADDRESS PORT BYTES   sends so many bytes and checks that the same come back
 * flow udp ADDRESS PORT COUNT   sends so many datagrams of growing size, one at a time, likewise
 * flow time ADDRESS PORT          how far the other's clock is ahead, in microseconds, by the
 * quickest of some exchanges, and how long that took
 * flow coalesce DEVICE          lets the device bring frames longer than the MTU
 * flow tap NAME                 makes a tap that can have several queues
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK    65536
#define QUESTION "time?"

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static unsigned char byte_at(size_t position)
{
    return (unsigned char)((position * 2654435761u) >> 13);
}

static long long now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static long number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end != '\0' || value < 0) {
        (void)fprintf(stderr, "%s is no number\n", text);
        exit(2);
    }
    return value;
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(port))};

    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        exit(fail(host));
    return address;
}

/* --- the server --------------------------------------------------------------------------- */

static void echo_stream(int stream)
{
    static char buffer[CHUNK];
    ssize_t length;

    while ((length = read(stream, buffer, sizeof(buffer))) > 0)
        for (ssize_t done = 0, part; done < length; done += part)
            if ((part = write(stream, buffer + done, (size_t)(length - done))) <= 0)
                return;
}

static void echo_datagram(int datagrams)
{
    static char buffer[CHUNK];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    ssize_t length =
        recvfrom(datagrams, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &size);

    if (length == sizeof(QUESTION) && memcmp(buffer, QUESTION, sizeof(QUESTION)) == 0) {
        long long now = now_us();

        memcpy(buffer, &now, sizeof(now));
        length = sizeof(now);
    }
    if (length >= 0)
        (void)sendto(datagrams, buffer, (size_t)length, 0, (struct sockaddr *)&from, size);
}

static int serve(const char *port)
{
    struct sockaddr_in address = address_of("0.0.0.0", port);
    struct pollfd fds[2] = {{.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN},
                            {.fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN}};

    for (int i = 0; i < 2; i++)
        if (bind(fds[i].fd, (struct sockaddr *)&address, sizeof(address)) != 0)
            return fail("bind");
    if (listen(fds[0].fd, 8) != 0)
        return fail("listen");
    while (poll(fds, 2, -1) > 0) {
        if ((fds[1].revents & POLLIN) != 0)
            echo_datagram(fds[1].fd);
        if ((fds[0].revents & POLLIN) != 0) {
            int stream = accept(fds[0].fd, NULL, NULL);

            echo_stream(stream);
            (void)close(stream);
        }
    }
    return 1;
}

/* --- the clients -------------------------------------------------------------------------- */

static unsigned char buffer[CHUNK];

/* Takes what has come; false at the end, or when a byte is wrong. */
static bool take(int stream, size_t *got)
{
    ssize_t length = read(stream, buffer, sizeof(buffer));

    for (ssize_t i = 0; i < length; i++)
        if (buffer[i] != byte_at((*got)++)) {
            (void)fprintf(stderr, "byte %zu is wrong\n", *got - 1);
            return false;
        }
    return length > 0;
}

/* Sends as much as goes at once, up to `total`. */
static void give(int stream, size_t *sent, size_t total)
{
    size_t length = total - *sent < CHUNK ? total - *sent : CHUNK;
    ssize_t part;

    for (size_t i = 0; i < length; i++)
        buffer[i] = byte_at(*sent + i);
    part = send(stream, buffer, length, MSG_DONTWAIT);
    if (part > 0)
        *sent += (size_t)part;
}

/* Sends and receives as poll allows, so that neither side's buffers stand in the way. */
static int run_tcp(int stream, size_t total)
{
    size_t sent = 0;
    size_t got = 0;

    while (got < total) {
        struct pollfd fd = {.fd = stream, .events = POLLIN};

        if (sent < total)
            fd.events |= POLLOUT;
        if (poll(&fd, 1, 30000) <= 0)
            return fail("nothing came for 30 s");
        if ((fd.revents & POLLOUT) != 0)
            give(stream, &sent, total);
        if ((fd.revents & POLLIN) != 0 && !take(stream, &got))
            return fail("the stream ended or was changed");
    }
    printf("%zu bytes\n", got);
    return 0;
}

/* What the datagram of this number holds; returns its length, which no other has. */
static size_t fill_datagram(int number, unsigned char *data)
{
    size_t length = 1 + (size_t)number * 997 % 8000;

    for (size_t at = 0; at < length; at++)
        data[at] = byte_at((size_t)number * 31 + at);
    return length;
}

static bool is_datagram(int number, const unsigned char *data, ssize_t length)
{
    static unsigned char expected[CHUNK];

    return (size_t)length == fill_datagram(number, expected) &&
           memcmp(data, expected, (size_t)length) == 0;
}

/* An answer that comes when its datagram was already given up is passed over. */
static bool is_late(int number, const unsigned char *data, ssize_t length)
{
    for (int i = 0; i < number; i++)
        if (is_datagram(i, data, length))
            return true;
    return false;
}

/* 1: it came back, 0: it did not, -1: something else came. */
static int await_datagram(int datagrams, int number)
{
    static unsigned char in[CHUNK];
    struct pollfd fd = {.fd = datagrams, .events = POLLIN};
    ssize_t length;

    do {
        if (poll(&fd, 1, 2000) <= 0)
            return 0;
        length = recv(datagrams, in, sizeof(in), 0);
    } while (length >= 0 && is_late(number, in, length));
    if (length >= 0 && is_datagram(number, in, length))
        return 1;
    (void)fprintf(stderr, "datagram %d came back changed, with %zd bytes\n", number, length);
    return -1;
}

static int run_udp(int datagrams, int count)
{
    static unsigned char out[CHUNK];
    int lost = 0;

    for (int i = 0; i < count; i++) {
        size_t length = fill_datagram(i, out);
        int came;

        if (send(datagrams, out, length, 0) != (ssize_t)length)
            return fail("send");
        came = await_datagram(datagrams, i);
        if (came < 0)
            return 1;
        lost += came == 0;
    }
    printf("%d datagrams, %d lost\n", count, lost);
    return lost * 20 > count;
}

static int run_time(int datagrams)
{
    struct pollfd fd = {.fd = datagrams, .events = POLLIN};
    long long best = 1000000000;
    long long ahead = 0;

    for (int i = 0; i < 40; i++) {
        long long before = now_us();
        long long there;
        long long took;

        if (send(datagrams, QUESTION, sizeof(QUESTION), 0) < 0 || poll(&fd, 1, 2000) <= 0 ||
            recv(datagrams, &there, sizeof(there), 0) != (ssize_t)sizeof(there))
            continue;
        took = now_us() - before;
        if (took < best) {
            best = took;
            ahead = there - before - took / 2;
        }
    }
    printf("%lld %lld\n", ahead, best);
    return best == 1000000000;
}

static int coalesce(const char *device)
{
    struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
    struct ifreq request = {.ifr_data = (char *)&value};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    (void)strncpy(request.ifr_name, device, sizeof(request.ifr_name) - 1);
    if (ioctl(fd, SIOCETHTOOL, &request) != 0)
        return fail(device);
    value.cmd = ETHTOOL_SFLAGS;
    value.data |= ETH_FLAG_LRO;
    return ioctl(fd, SIOCETHTOOL, &request) != 0 ? fail(device) : 0;
}

static int make_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    (void)strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0 || ioctl(fd, TUNSETPERSIST, 1UL) != 0)
        return fail(name);
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int fd;

    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    if (argc == 3 && strcmp(argv[1], "coalesce") == 0)
        return coalesce(argv[2]);
    if (argc == 3 && strcmp(argv[1], "tap") == 0)
        return make_tap(argv[2]);
    if (argc != 5 && (argc != 4 || strcmp(argv[1], "time") != 0))
        return 2;
    address = address_of(argv[2], argv[3]);
    fd = socket(AF_INET, strcmp(argv[1], "tcp") == 0 ? SOCK_STREAM : SOCK_DGRAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return fail("connect");
    if (argc == 4)
        return run_time(fd);
    return strcmp(argv[1], "tcp") == 0 ? run_tcp(fd, (size_t)number(argv[4]))
                                       : run_udp(fd, (int)number(argv[4]));
}
