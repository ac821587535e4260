/* SPDX-License-Identifier: MIT */
/* Bridges, rules and dnsmasq, by ip(8), nft(8) and dnsmasq(8). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mgmtd/command.h"
#include "mgmtd/network_host.h"

#define TIMEOUT_MS 20000
#define END_MS     2000 /* of dnsmasq, after a signal */

bool address_parse(const char *text, uint32_t *address)
{
    struct in_addr parsed;

    if (inet_pton(AF_INET, text, &parsed) != 1)
        return false;
    *address = ntohl(parsed.s_addr);
    return true;
}

void address_format(uint32_t address, char text[INET_ADDRSTRLEN])
{
    struct in_addr raw = {.s_addr = htonl(address)};

    inet_ntop(AF_INET, &raw, text, INET_ADDRSTRLEN);
}

static uint32_t mask_of(unsigned prefix)
{
    return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

bool subnet_parse(const char *text, struct subnet *subnet)
{
    char address[INET_ADDRSTRLEN];
    const char *slash = strchr(text, '/');

    if (!slash || (size_t)(slash - text) >= sizeof(address))
        return false;
    snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
    subnet->prefix = (unsigned)strtoul(slash + 1, NULL, 10);
    return address_parse(address, &subnet->address) && subnet->prefix >= 8 &&
           subnet->prefix <= 30 && (subnet->address & ~mask_of(subnet->prefix)) == 0;
}

bool subnet_holds(const struct subnet *subnet, uint32_t address)
{
    return (address & mask_of(subnet->prefix)) == subnet->address;
}

bool subnet_overlaps(const struct subnet *a, const struct subnet *b)
{
    return subnet_holds(a, b->address) || subnet_holds(b, a->address);
}

void network_bridge(const struct object *network, char bridge[16])
{
    uint8_t hash[SHA256_SIZE];
    char hex[SHA256_TEXT];

    sha256(network->id, strlen(network->id), hash);
    hex_format(hash, sizeof(hash), hex);
    snprintf(bridge, 16, "bhbr%.10s", hex);
}

static bool run(const char *const *arguments, const char *input, char *problem, size_t size)
{
    struct command command = {.arguments = arguments, .input = input, .timeout_ms = TIMEOUT_MS};

    return command_run(&command, problem, size);
}

#define RUN(problem, size, ...) run((const char *const[]){__VA_ARGS__, NULL}, NULL, problem, size)

static bool link_exists(const char *name)
{
    return if_nametoindex(name) != 0;
}

static bool make_bridge(const struct object *network, const char *bridge, char *problem,
                        size_t size)
{
    char mtu[16];

    snprintf(mtu, sizeof(mtu), "%lld", (long long)json_number(network->document, "mtu", 1500));
    if (!link_exists(bridge) &&
        !RUN(problem, size, "ip", "link", "add", "name", bridge, "type", "bridge"))
        return false;
    return RUN(problem, size, "ip", "link", "set", "dev", bridge, "mtu", mtu, "up");
}

static bool set_address(const struct object *network, const char *bridge, char *problem,
                        size_t size)
{
    char first[INET_ADDRSTRLEN];
    char address[INET_ADDRSTRLEN + 8];
    struct subnet subnet;

    if (!subnet_parse(json_text(network->document, "subnet"), &subnet))
        return false;
    address_format(subnet.address + 1, first);
    snprintf(address, sizeof(address), "%s/%u", first, subnet.prefix);
    return RUN(problem, size, "ip", "address", "replace", address, "dev", bridge);
}

static bool allow_forwarding(char *problem, size_t size)
{
    int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, "1\n", 2) == 2;

    if (!done)
        snprintf(problem, size, "cannot turn on IPv4 forwarding: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return done;
}

/* One table per network, replaced as a whole. */
static bool set_rules(const struct object *network, const char *bridge, char *problem, size_t size)
{
    bool nat = strcmp(json_text(network->document, "mode"), "nat") == 0;
    const char *subnet = json_text(network->document, "subnet");
    struct text rules = {0};
    bool done;

    text_printf(&rules, "table ip %s {}\ndelete table ip %s\ntable ip %s {\n", bridge, bridge,
                bridge);
    /* Of the host, guests reach name service and DHCP, and may ping it; nothing else. */
    text_printf(&rules,
                " chain input {\n  type filter hook input priority filter;\n"
                "  iifname != \"%s\" accept\n  ct state established,related accept\n"
                "  udp dport { 53, 67 } accept\n  tcp dport 53 accept\n"
                "  icmp type echo-request accept\n  drop\n }\n",
                bridge);
    text_puts(&rules, " chain forward {\n  type filter hook forward priority filter;\n");
    if (nat)
        text_printf(&rules,
                    "  oifname \"%s\" ct state established,related accept\n"
                    "  iifname \"%s\" oifname \"%s\" accept\n  oifname \"%s\" drop\n",
                    bridge, bridge, bridge, bridge);
    else
        text_printf(&rules,
                    "  iifname \"%s\" oifname \"%s\" accept\n"
                    "  iifname \"%s\" drop\n  oifname \"%s\" drop\n",
                    bridge, bridge, bridge, bridge);
    text_puts(&rules, " }\n");
    if (nat)
        text_printf(&rules,
                    " chain postrouting {\n  type nat hook postrouting priority srcnat;\n"
                    "  ip saddr %s oifname != \"%s\" masquerade\n }\n",
                    subnet, bridge);
    text_puts(&rules, "}\n");
    done = !rules.failed &&
           run((const char *const[]){"nft", "-f", "-", NULL}, rules.bytes, problem, size);
    text_free(&rules);
    return done && (!nat || allow_forwarding(problem, size));
}

/* --- dnsmasq --- */

static bool dnsmasq_path(const char *run_directory, const struct object *network,
                         const char *suffix, char path[PATH_SIZE])
{
    return path_join(path, run_directory, "networks/%s.%s", network->id, suffix);
}

/* The process of the pid file, when it is this network's dnsmasq; 0 otherwise. */
static int dnsmasq_pid(const char *pid_file)
{
    char line[32] = "";
    char path[64];
    char command[4096];
    ssize_t got = 0;
    int pid;
    int fd = open(pid_file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    if (read(fd, line, sizeof(line) - 1) < 0)
        line[0] = '\0';
    close(fd);
    pid = (int)strtol(line, NULL, 10);
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        got = read(fd, command, sizeof(command));
        close(fd);
    }
    return got > 0 && memmem(command, (size_t)got, pid_file, strlen(pid_file)) ? pid : 0;
}

/* Sends the signal; true once the process has ended. */
static bool end_process(int process, int signal)
{
    struct pollfd ended = {.fd = process, .events = POLLIN};

    pidfd_send_signal(process, signal, NULL, 0);
    return poll(&ended, 1, END_MS) == 1;
}

/* Waits for its end: it keeps its address some time longer than its pid file. */
static void stop_dnsmasq(const char *run_directory, const struct object *network)
{
    char path[PATH_SIZE];
    int process;
    int pid;

    if (!dnsmasq_path(run_directory, network, "pid", path))
        return;
    pid = dnsmasq_pid(path);
    process = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (process >= 0) {
        if (!end_process(process, SIGTERM))
            end_process(process, SIGKILL);
        close(process);
    }
    unlink(path);
}

static void pool_of(const struct object *network, const struct subnet *subnet, char *range,
                    size_t size)
{
    const json_t *dhcp = json_object_get(network->document, "dhcp");
    uint32_t last_host = subnet->address | (uint32_t)~mask_of(subnet->prefix);
    char first[INET_ADDRSTRLEN];
    char last[INET_ADDRSTRLEN];

    address_format(subnet->address + 2, first);
    address_format(last_host - 1, last);
    snprintf(range, size, "--dhcp-range=%s,%s,12h",
             json_object_get(dhcp, "first") ? json_text(dhcp, "first") : first,
             json_object_get(dhcp, "last") ? json_text(dhcp, "last") : last);
}

/* A command line of options, each with its value in it. */
struct words {
    const char *word[24];
    size_t count;
    char text[4 * PATH_SIZE];
    size_t used;
};

static void __attribute__((format(printf, 2, 3)))
add_word(struct words *words, const char *format, ...)
{
    char *word = words->text + words->used;
    size_t room = sizeof(words->text) - words->used;
    va_list values;
    int size;

    va_start(values, format);
    size = vsnprintf(word, room, format, values);
    va_end(values);
    if (size < 0 || (size_t)size >= room ||
        words->count + 1 >= sizeof(words->word) / sizeof(words->word[0])) {
        words->used = sizeof(words->text); /* no more fits, and it is not run */
        return;
    }
    words->word[words->count++] = word;
    words->used += (size_t)size + 1;
}

static void add_dhcp(struct words *words, const struct object *network, const struct subnet *subnet)
{
    char range[96];

    pool_of(network, subnet, range, sizeof(range));
    add_word(words, "%s", range);
    add_word(words, "--dhcp-option=option:mtu,%lld",
             (long long)json_number(network->document, "mtu", 1500));
}

static bool start_dnsmasq(const char *run_directory, const struct object *network,
                          const char *bridge, char *problem, size_t size)
{
    const json_t *dhcp = json_object_get(network->document, "dhcp");
    const char *domain = json_text(json_object_get(network->document, "dns"), "domain");
    struct words words = {.word = {"dnsmasq", "--conf-file=/dev/null", "--bind-interfaces",
                                   "--except-interface=lo", "--no-hosts", "--domain-needed",
                                   "--bogus-priv", "--dhcp-authoritative", "--local-service"},
                          .count = 9};
    char pid[PATH_SIZE];
    char leases[PATH_SIZE];
    struct subnet subnet;

    if (!subnet_parse(json_text(network->document, "subnet"), &subnet) ||
        !dnsmasq_path(run_directory, network, "pid", pid) ||
        !dnsmasq_path(run_directory, network, "leases", leases))
        return false;
    add_word(&words, "--interface=%s", bridge);
    add_word(&words, "--pid-file=%s", pid);
    add_word(&words, "--dhcp-leasefile=%s", leases);
    if (strcmp(json_text(network->document, "mode"), "nat") != 0) {
        add_word(&words, "--no-resolv");
        add_word(&words, "--dhcp-option=option:router");
    }
    if (!json_is_false(json_object_get(dhcp, "enabled")))
        add_dhcp(&words, network, &subnet);
    if (domain[0]) {
        add_word(&words, "--domain=%s", domain);
        add_word(&words, "--local=/%s/", domain);
    }
    return words.used < sizeof(words.text) && run(words.word, NULL, problem, size);
}

static bool join_interface(const struct object *network, const char *bridge, char *problem,
                           size_t size)
{
    const char *interface = json_text(network->document, "interface");

    if (!link_exists(interface)) {
        snprintf(problem, size, "the host has no NIC %s", interface);
        return false;
    }
    return RUN(problem, size, "ip", "link", "set", "dev", interface, "master", bridge, "up");
}

bool network_up(const char *run_directory, const struct object *network, char *problem, size_t size)
{
    bool bridged = strcmp(json_text(network->document, "mode"), "bridged") == 0;
    char bridge[16];

    network_bridge(network, bridge);
    if (!make_bridge(network, bridge, problem, size))
        return false;
    if (bridged)
        return join_interface(network, bridge, problem, size);
    stop_dnsmasq(run_directory, network);
    return set_address(network, bridge, problem, size) &&
           set_rules(network, bridge, problem, size) &&
           start_dnsmasq(run_directory, network, bridge, problem, size);
}

int64_t network_leases(const char *run_directory, const char *id)
{
    char path[PATH_SIZE];
    int64_t count = 0;
    FILE *file = NULL;

    if (path_join(path, run_directory, "networks/%s.leases", id))
        file = fopen(path, "re");
    for (int c = file ? getc(file) : EOF; c != EOF; c = getc(file))
        count += c == '\n';
    if (file)
        fclose(file);
    return count;
}

bool network_down(const char *run_directory, const struct object *network, char *problem,
                  size_t size)
{
    char rules[96];
    char bridge[16];
    char path[PATH_SIZE];

    network_bridge(network, bridge);
    stop_dnsmasq(run_directory, network);
    if (dnsmasq_path(run_directory, network, "leases", path))
        unlink(path);
    if (strcmp(json_text(network->document, "mode"), "bridged") != 0) {
        snprintf(rules, sizeof(rules), "table ip %s {}\ndelete table ip %s\n", bridge, bridge);
        if (!run((const char *const[]){"nft", "-f", "-", NULL}, rules, problem, size))
            return false;
    }
    return !link_exists(bridge) ||
           RUN(problem, size, "ip", "link", "delete", "dev", bridge, "type", "bridge");
}
