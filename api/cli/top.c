/* SPDX-License-Identifier: MIT */
/*
 * bh top: what the VMs use now, from two scrapes of /metrics, again every two seconds. On something
 * else than a terminal it prints once.
 */
#include "api/cli/command.h"
#include "api/cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Counters shown as rates: label in the row, and the sample's name. */
static const struct rate {
    const char *name, *sample;
} rates[] = {
    {"cpu", "bulkhead_vcpu_run_seconds_total"},
    {"read", "bulkhead_disk_read_bytes_total"},
    {"written", "bulkhead_disk_write_bytes_total"},
    {"received", "bulkhead_nic_receive_bytes_total"},
    {"sent", "bulkhead_nic_transmit_bytes_total"},
};
enum { RATES = sizeof rates / sizeof rates[0], INTERVAL = 2 };

/* Copy the value of a label out of "name{a=\"x\",uuid=\"y\"} 1". */
static bool label_value(const char *line, const char *label, char *out, size_t size)
{
    char mark[64];
    snprintf(mark, sizeof mark, "%s=\"", label);
    const char *begin = strstr(line, mark);
    if (!begin)
        return false;
    begin += strlen(mark);
    snprintf(out, size, "%.*s", (int)strcspn(begin, "\""), begin);
    return true;
}

/* Add a sample to sums[uuid][name]. */
static void take_line(json_t *sums, const char *line)
{
    char uuid[64];
    const char *value = strrchr(line, ' ');
    size_t length = strcspn(line, "{ ");
    for (size_t i = 0; value && i < RATES; i++) {
        if (strlen(rates[i].sample) != length || memcmp(line, rates[i].sample, length) != 0 ||
            !label_value(line, "uuid", uuid, sizeof uuid))
            continue;
        json_t *vm = json_object_get(sums, uuid);
        if (!vm) {
            vm = json_object();
            json_object_set_new(sums, uuid, vm);
        }
        double sum = json_number_value(json_object_get(vm, rates[i].name)) + strtod(value, NULL);
        json_object_set_new(vm, rates[i].name, json_real(sum));
    }
}

/* Sums of the counters by VM, or NULL: said why. */
static json_t *scrape(const struct command *command)
{
    struct response response;
    if (!client_call(command->client, "GET", "/metrics", NULL, &response))
        return NULL;
    json_t *sums = response.status == 200 ? json_object() : NULL;
    if (!sums)
        client_complain(&response);
    char *rest = response.body;
    for (char *line = sums ? strsep(&rest, "\n") : NULL; line; line = strsep(&rest, "\n"))
        take_line(sums, line);
    response_free(&response);
    return sums;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double rate_of(const json_t *before, const json_t *after, const char *uuid, const char *name,
                      double seconds)
{
    double grown = json_number_value(json_object_get(json_object_get(after, uuid), name)) -
                   json_number_value(json_object_get(json_object_get(before, uuid), name));
    return grown > 0 && seconds > 0 ? grown / seconds : 0;
}

static void set_text(json_t *row, const char *name, const char *format, double value)
{
    char text[32];
    snprintf(text, sizeof text, format, value);
    json_object_set_new(row, name, json_string(text));
}

static int by_processor(const void *left, const void *right)
{
    double a = json_number_value(json_object_get(*(json_t *const *)left, "rate"));
    double b = json_number_value(json_object_get(*(json_t *const *)right, "rate"));
    return a < b ? 1 : a > b ? -1 : 0;
}

static json_t *sorted(json_t *rows)
{
    size_t count = json_array_size(rows);
    json_t **order = calloc(count ? count : 1, sizeof(json_t *));
    json_t *result = json_array();
    for (size_t i = 0; order && i < count; i++)
        order[i] = json_array_get(rows, i);
    if (order)
        qsort(order, count, sizeof(json_t *), by_processor);
    for (size_t i = 0; order && i < count; i++)
        json_array_append(result, order[i]);
    free(order);
    json_decref(rows);
    return result;
}

/* One row a VM, busiest first. */
static json_t *make_rows(json_t *vms, const json_t *before, const json_t *after, double seconds)
{
    json_t *rows = json_array();
    size_t i;
    json_t *vm;
    json_array_foreach(vms, i, vm)
    {
        const char *uuid = json_string_value(json_object_get(vm, "uuid"));
        json_t *row = json_deep_copy(vm);
        double processor = rate_of(before, after, uuid ? uuid : "", "cpu", seconds);
        json_object_set_new(row, "rate", json_real(processor));
        set_text(row, "cpu", "%.0f%%", processor * 100);
        for (size_t r = 1; r < RATES; r++)
            set_text(row, rates[r].name, "%.1f",
                     rate_of(before, after, uuid ? uuid : "", rates[r].name, seconds) / 1024);
        json_array_append_new(rows, row);
    }
    return sorted(rows);
}

static void print_rows(const struct command *command, json_t *rows, bool terminal)
{
    if (terminal)
        printf("\033[H\033[J");
    if (command->json)
        json_dumpf(rows, stdout, JSON_INDENT(2));
    else
        table_print(rows,
                    "NAME=name,STATE=status.state,CPU=cpu,MEMORY=status.memory_assigned,"
                    "READ KiB/s=read,WRITE KiB/s=written,RECV KiB/s=received,SEND KiB/s=sent");
    fflush(stdout);
}

int top_command(const struct command *command)
{
    bool terminal = isatty(STDOUT_FILENO) && !command->json;
    json_t *before = scrape(command);
    double before_at = now_seconds();
    int status = before ? 0 : 1;
    while (before) {
        sleep(terminal ? INTERVAL : 1);
        json_t *after = scrape(command);
        double after_at = now_seconds();
        json_t *vms = after ? object_list(command->client, "/v1/vms", NULL,
                                          "uuid,name,status.state,status.memory_assigned")
                            : NULL;
        if (vms) {
            json_t *rows = make_rows(vms, before, after, after_at - before_at);
            print_rows(command, rows, terminal);
            json_decref(rows);
        }
        status = vms ? 0 : 1;
        json_decref(before);
        before = vms && terminal ? after : NULL;
        if (!before)
            json_decref(after);
        before_at = after_at;
        json_decref(vms);
    }
    return status;
}
