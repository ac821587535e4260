/* SPDX-License-Identifier: MIT */
#include "parent/control/nbd_uri.h"

#include <stdio.h>
#include <string.h>

#define TCP          "nbd://"
#define UNIX         "nbd+unix:///"
#define SOCKET       "socket="
#define DEFAULT_PORT "10809"

bool bh_nbd_uri_is(const char *text)
{
    return strncmp(text, TCP, strlen(TCP)) == 0 || strncmp(text, "nbd+unix://", 11) == 0;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)((at - digits) % 16) : -1;
}

/* Copies [text, end) with %XX as the byte it stands for; false when it does not fit or is wrong. */
static bool decode(const char *text, const char *end, char *to, size_t size)
{
    size_t used = 0;

    for (; text < end && used + 1 < size; used++) {
        char byte = *text++;

        if (byte == '%') {
            int high = text < end ? hex_digit(text[0]) : -1;
            int low = text + 1 < end ? hex_digit(text[1]) : -1;

            if (high < 0 || low < 0)
                return false;
            byte = (char)(high << 4 | low);
            text += 2;
        }
        if (byte == '\0')
            return false;
        to[used] = byte;
    }
    to[used] = '\0';
    return text >= end;
}

static bool parse_unix(const char *rest, struct bh_nbd_uri *uri)
{
    const char *query = strchr(rest, '?');

    return query != NULL && strncmp(query + 1, SOCKET, strlen(SOCKET)) == 0 &&
           strchr(query, '&') == NULL && decode(rest, query, uri->name, sizeof(uri->name)) &&
           decode(query + 1 + strlen(SOCKET), query + strlen(query), uri->socket,
                  sizeof(uri->socket)) &&
           uri->socket[0] == '/';
}

/* HOST or [HOST], with [:PORT] behind it. */
static bool parse_authority(const char *text, const char *end, struct bh_nbd_uri *uri)
{
    bool bracket = text < end && *text == '[';
    const char *last = memchr(text, bracket ? ']' : ':', (size_t)(end - text));
    const char *port = last;

    if (bracket) {
        if (last == NULL)
            return false;
        text++;
        port = last + 1;
    } else if (last == NULL) {
        last = port = end;
    }
    (void)snprintf(uri->port, sizeof(uri->port), "%s", DEFAULT_PORT);
    if (port != end &&
        (*port != ':' || port + 1 == end || !decode(port + 1, end, uri->port, sizeof(uri->port))))
        return false;
    return strspn(uri->port, "0123456789") == strlen(uri->port) &&
           memchr(text, '@', (size_t)(last - text)) == NULL &&
           decode(text, last, uri->host, sizeof(uri->host)) && uri->host[0] != '\0';
}

static bool parse_tcp(const char *rest, struct bh_nbd_uri *uri)
{
    const char *slash = strchr(rest, '/');
    const char *end = rest + strlen(rest);

    if (strchr(rest, '?') != NULL)
        return false;
    return parse_authority(rest, slash != NULL ? slash : end, uri) &&
           (slash == NULL || decode(slash + 1, end, uri->name, sizeof(uri->name)));
}

bool bh_nbd_uri_parse(const char *text, struct bh_nbd_uri *uri, struct bh_control_error *error)
{
    bool good = false;

    memset(uri, 0, sizeof(*uri));
    if (strncmp(text, UNIX, strlen(UNIX)) == 0)
        good = parse_unix(text + strlen(UNIX), uri);
    else if (strncmp(text, TCP, strlen(TCP)) == 0)
        good = parse_tcp(text + strlen(TCP), uri);
    return good ||
           bh_control_error_set(error, BH_CONTROL_INVALID_PARAMS, NULL,
                                "%.120s is not understood: while the VM runs, an NBD URI is "
                                "nbd://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=/PATH.",
                                text);
}
