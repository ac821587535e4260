/* SPDX-License-Identifier: MIT */
#include "api/accept.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { SPECIFIC_NOT = 0, SPECIFIC_ANY, SPECIFIC_GROUP, SPECIFIC_TYPE };

/* One range of the header, such as text/html;q=0.5, or a star for any type. */
struct range {
    const char *text; /* without parameters */
    size_t size;
    int quality; /* in thousandths */
};

struct liking {
    int specific; /* how the best range names the type */
    int quality;
};

/* The characters up to a delimiter that stands in no quoted string, or to the end of the text. */
static size_t part_size(const char *text, size_t limit, char delimiter)
{
    bool quoted = false;
    size_t size = 0;
    for (; size < limit && text[size] && (quoted || text[size] != delimiter); size++) {
        if (text[size] == '"')
            quoted = !quoted;
        else if (quoted && text[size] == '\\' && size + 1 < limit && text[size + 1])
            size++;
    }
    return size;
}

/* "0.25" in thousandths; what is no quality counts as 1, as if it were not there. */
static int parse_quality(const char *text, size_t size)
{
    int quality = 0;
    int unit = 1000;
    for (size_t i = 0; i < size && text[i] != ' ' && text[i] != '\t'; i++) {
        if (i == 1 ? text[i] != '.' : text[i] < '0' || text[i] > '9' || i > 4)
            return 1000;
        if (i == 1)
            continue;
        quality += (text[i] - '0') * unit;
        unit /= 10;
    }
    return unit == 1000 || quality > 1000 ? 1000 : quality;
}

/* parameters: what follows a range, such as ";charset=utf-8;q=0.5". */
static int find_quality(const char *parameters, size_t size)
{
    while (size > 0) {
        size_t part = part_size(parameters, size, ';');
        size_t blanks = strspn(parameters, " \t");
        if (part > blanks + 2 && strncasecmp(parameters + blanks, "q=", 2) == 0)
            return parse_quality(parameters + blanks + 2, part - blanks - 2);
        part += part < size; /* the semicolon */
        parameters += part;
        size -= part;
    }
    return 1000;
}

/* Takes the next range off the header. False: there is none. */
static bool next_range(const char **accept, struct range *range)
{
    *accept += strspn(*accept, ", \t");
    size_t size = part_size(*accept, SIZE_MAX, ',');
    range->text = *accept;
    range->size = strcspn(*accept, ";, \t");
    if (range->size > size)
        range->size = size;
    range->quality = find_quality(*accept + range->size, size - range->size);
    *accept += size;
    return size > 0;
}

static int match(const struct range *range, const char *type)
{
    size_t group = (size_t)(strchr(type, '/') - type) + 1;
    if (range->size == 3 && strncmp(range->text, "*/*", 3) == 0)
        return SPECIFIC_ANY;
    if (range->size == group + 1 && range->text[group] == '*' &&
        strncasecmp(range->text, type, group) == 0)
        return SPECIFIC_GROUP;
    return range->size == strlen(type) && strncasecmp(range->text, type, range->size) == 0
               ? SPECIFIC_TYPE
               : SPECIFIC_NOT;
}

static struct liking like(const char *accept, const char *type)
{
    struct liking best = {SPECIFIC_NOT, 0};
    struct range range;
    while (next_range(&accept, &range)) {
        int specific = match(&range, type);
        if (specific > best.specific)
            best = (struct liking){specific, range.quality};
    }
    return best;
}

int accept_choose(const char *accept, const char *const types[], size_t count)
{
    struct liking best = {SPECIFIC_NOT, 0};
    int chosen = -1;
    if (!accept || !accept[strspn(accept, ", \t")])
        return 0;
    for (size_t i = 0; i < count; i++) {
        struct liking liking = like(accept, types[i]);
        if (liking.quality > best.quality ||
            (liking.quality == best.quality && liking.quality > 0 &&
             liking.specific > best.specific)) {
            best = liking;
            chosen = (int)i;
        }
    }
    return chosen;
}
