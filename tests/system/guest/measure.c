/* SPDX-License-Identifier: MIT */
/*
 * Measures work in ticks of the time-stamp counter. In a machine run with -icount shift=0 one tick
 * is one instruction of everything in the machine, hypervisor included.
 *
 *   measure tsc                    the counter now
 *   measure exec PROGRAM ...       the counter now, then becomes the program
 *   measure cpu ROUNDS             sorting and hashing in memory
 *   measure fork COUNT             processes started and waited for, one after the other
 *   measure cpuid COUNT            the CPUID instruction
 *   measure read DEVICE COUNT      random 4 KiB reads past the page cache, one at a time
 *   measure send ADDRESS PORT KIB  a TCP stream to `measure sink PORT`, until all is confirmed
 *
 * Each but `tsc` and `exec` prints "ticks N".
 */
#include <arpa/inet.h>
#include <cpuid.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

enum { BLOCK = 4096, CHUNK = 65536, NUMBERS = 32768 };

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int compare_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void work_cpu(uint64_t rounds)
{
    static uint64_t numbers[NUMBERS];
    uint64_t state = 1;
    uint64_t hash = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < NUMBERS; i++)
            numbers[i] = next_random(&state);
        qsort(numbers, NUMBERS, sizeof numbers[0], compare_numbers);
        for (size_t i = 0; i < NUMBERS; i++)
            hash = (hash ^ numbers[i]) * UINT64_C(0x100000001b3);
    }
    printf("hash %016llx\n", (unsigned long long)hash);
}

static void work_fork(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0)
            fail("measure: fork");
        if (child == 0) {
            execl("/proc/self/exe", "measure", "nothing", (char *)NULL);
            _exit(127);
        }
        int status = 0;
        if (waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "measure: a child ended with status %#x\n", (unsigned)status);
            exit(1);
        }
    }
}

static void work_cpuid(uint64_t count)
{
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    for (uint64_t i = 0; i < count; i++)
        __cpuid(0, eax, ebx, ecx, edx);
}

static void work_read(const char *device, uint64_t count)
{
    static _Alignas(BLOCK) unsigned char block[BLOCK];
    int file = open(device, O_RDONLY | O_DIRECT);
    if (file < 0)
        fail(device);
    off_t size = lseek(file, 0, SEEK_END);
    if (size < BLOCK) {
        fprintf(stderr, "measure: %s is too small\n", device);
        exit(1);
    }
    uint64_t state = 88172645463325252u;
    for (uint64_t i = 0; i < count; i++) {
        off_t at = (off_t)(next_random(&state) % ((uint64_t)size / BLOCK)) * BLOCK;
        if (pread(file, block, BLOCK, at) != BLOCK)
            fail("measure: read");
    }
    close(file);
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "measure: %s is no IPv4 address\n", host);
        exit(1);
    }
    return address;
}

/* Sends, then waits for the sink's byte, which says that all has arrived. */
static void work_send(const char *host, const char *port, uint64_t kib)
{
    static unsigned char chunk[CHUNK];
    struct sockaddr_in address = address_of(host, port);
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) != 0)
        fail("measure: connect");
    for (uint64_t left = kib * 1024; left > 0;) {
        ssize_t sent = write(connection, chunk, left < CHUNK ? (size_t)left : CHUNK);
        if (sent <= 0)
            fail("measure: send");
        left -= (uint64_t)sent;
    }
    shutdown(connection, SHUT_WR);
    if (read(connection, chunk, 1) != 1)
        fail("measure: confirmation");
    close(connection);
}

/* Takes one connection after the other and throws away what comes. */
static _Noreturn void run_sink(const char *port)
{
    static unsigned char chunk[CHUNK];
    struct sockaddr_in address = address_of("0.0.0.0", port);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4) != 0)
        fail("measure: listen");
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0)
            fail("measure: accept");
        while (read(connection, chunk, CHUNK) > 0)
            continue;
        if (write(connection, "", 1) != 1)
            perror("measure: confirm");
        close(connection);
    }
}

static _Noreturn void become(char **argv)
{
    printf("tsc %llu\n", (unsigned long long)__rdtsc());
    (void)fflush(stdout);
    execvp(argv[0], argv);
    fail(argv[0]);
}

static int usage(void)
{
    fprintf(stderr, "usage: measure tsc | exec PROGRAM... | cpu ROUNDS | fork COUNT | cpuid COUNT |"
                    " read DEVICE COUNT | send ADDRESS PORT KIB | sink PORT\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *work = argc > 1 ? argv[1] : "";
    if (strcmp(work, "nothing") == 0)
        return 0;
    if (strcmp(work, "sink") == 0 && argc == 3)
        run_sink(argv[2]);
    if (strcmp(work, "exec") == 0 && argc > 2)
        become(argv + 2);
    uint64_t began = __rdtsc();
    if (strcmp(work, "tsc") == 0) {
        printf("tsc %llu\n", (unsigned long long)began);
        return 0;
    }
    uint64_t number = argc > 2 ? strtoull(argv[argc - 1], NULL, 10) : 0;
    if (strcmp(work, "cpu") == 0 && argc == 3)
        work_cpu(number);
    else if (strcmp(work, "fork") == 0 && argc == 3)
        work_fork(number);
    else if (strcmp(work, "cpuid") == 0 && argc == 3)
        work_cpuid(number);
    else if (strcmp(work, "read") == 0 && argc == 4)
        work_read(argv[2], number);
    else if (strcmp(work, "send") == 0 && argc == 5)
        work_send(argv[2], argv[3], number);
    else
        return usage();
    printf("ticks %llu\n", (unsigned long long)(__rdtsc() - began));
    return 0;
}
