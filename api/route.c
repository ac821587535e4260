/* SPDX-License-Identifier: MIT */
#include "api/route.h"

#include <stdio.h>
#include <string.h>

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/* Copy the segment at *path into name and move behind it. */
static bool take_name(const char **path, const char *end, char name[ROUTE_NAME_SIZE])
{
    size_t length = 0;
    while (*path < end && is_name_character(**path) && length + 1 < ROUTE_NAME_SIZE)
        name[length++] = *(*path)++;
    name[length] = '\0';
    bool dots_only = strspn(name, ".") == length;
    return !dots_only && (*path == end || **path == '/');
}

/* Does the path fit the template, and with which names? */
static bool path_fits(const char *template, const char *path, size_t size,
                      char names[ROUTE_MAX_NAMES][ROUTE_NAME_SIZE])
{
    const char *end = path + size;
    size_t count = 0;
    while (*template) {
        if (*template != '{') {
            if (path == end || *path++ != *template ++)
                return false;
            continue;
        }
        if (count == ROUTE_MAX_NAMES || !take_name(&path, end, names[count++]))
            return false;
        template = strchr(template, '}') + 1;
    }
    return path == end;
}

enum route_result route_find(const char *method, const char *path, size_t size,
                             struct route_match *match)
{
    bool path_known = false;
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < API_ROUTE_COUNT; i++) {
        memset(match->name, 0, sizeof match->name);
        if (!path_fits(contract_routes[i].path, path, size, match->name))
            continue;
        path_known = true;
        if (strcmp(contract_routes[i].method, method) == 0) {
            match->route = &contract_routes[i];
            return ROUTE_FOUND;
        }
    }
    return path_known ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
}

void route_allow(const char *path, size_t size, char *allow, size_t room)
{
    char names[ROUTE_MAX_NAMES][ROUTE_NAME_SIZE];
    size_t used = 0;
    allow[0] = '\0';
    for (size_t i = 0; i < API_ROUTE_COUNT && used < room; i++) {
        const char *method = contract_routes[i].method;
        if (!path_fits(contract_routes[i].path, path, size, names))
            continue;
        used += (size_t)snprintf(allow + used, room - used, "%s%s%s", used ? ", " : "", method,
                                 strcmp(method, "GET") == 0 ? ", HEAD" : "");
    }
}
