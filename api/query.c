/* SPDX-License-Identifier: MIT */
#include "api/query.h"

#include "api/problem.h"
#include "api/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decode percent signs and pluses in place. False: a bad escape, or a control character. */
static bool decode(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        int c = *in == '+' ? ' ' : (unsigned char)*in;
        if (c == '%') {
            int high = hex_digit(in[1]);
            int low = high < 0 ? -1 : hex_digit(in[2]);
            if (low < 0)
                return false;
            c = high * 16 + low;
            in += 2;
        }
        if (c < 0x20 || c == 0x7f)
            return false;
        *(unsigned char *)out++ = (unsigned char)c;
    }
    *out = '\0';
    return true;
}

static const struct contract_parameter *find_parameter(const struct contract_route *route,
                                                       const char *name, unsigned *index)
{
    for (unsigned i = 0; i < route->parameter_count; i++) {
        const struct contract_parameter *parameter =
            &contract_parameters[route->parameter_first + i];
        if (strcmp(parameter->name, name) == 0) {
            *index = i;
            return parameter;
        }
    }
    return NULL;
}

static bool is_filter_column(const struct contract_route *route, const char *column)
{
    for (unsigned i = 0; i < route->filter_count; i++)
        if (strcmp(contract_words[route->filter_first + i], column) == 0)
            return true;
    return false;
}

/* Read one "column=value", "column!=value", "column=value*". */
static bool parse_condition(const struct contract_route *route, char *text,
                            struct api_condition *condition, struct api_problem *problem)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        api_problem_parameter(problem, "filter", "\"%.64s\" is not of the form column=value", text);
        return false;
    }
    condition->negated = equals[-1] == '!';
    equals[condition->negated ? -1 : 0] = '\0';
    char *value = equals + 1;
    size_t length = strlen(value);
    condition->prefix = length && value[length - 1] == '*';
    if (condition->prefix)
        value[length - 1] = '\0';
    condition->column = text;
    condition->value = value;
    if (is_filter_column(route, text))
        return true;
    char columns[160] = "";
    for (unsigned i = 0; i < route->filter_count; i++) {
        size_t used = strlen(columns);
        snprintf(columns + used, sizeof columns - used, "%s%s", i ? ", " : "",
                 contract_words[route->filter_first + i]);
    }
    api_problem_parameter(problem, "filter", "\"%.64s\" is no column to filter by; there are %s",
                          text, columns);
    return false;
}

static void parse_filter(const struct contract_route *route, char *text, struct query *query,
                         struct api_problem *problem)
{
    char *rest = text;
    for (char *part = strsep(&rest, ","); part; part = strsep(&rest, ",")) {
        if (query->condition_count == QUERY_MAX_CONDITIONS) {
            api_problem_parameter(problem, "filter", "has more than %d conditions",
                                  QUERY_MAX_CONDITIONS);
            return;
        }
        if (parse_condition(route, part, &query->condition[query->condition_count], problem))
            query->condition_count++;
    }
}

static void parse_fields(const struct contract_route *route, char *text, struct query *query,
                         struct api_problem *problem)
{
    for (const char *path = text; *path; path += strspn(path, ",")) {
        size_t size = strcspn(path, ",");
        if (!schema_has_path(route->answer_schema, path, size))
            api_problem_parameter(problem, "fields",
                                  "there is no field \"%.*s\" here; /docs has all",
                                  (int)(size < 64 ? size : 64), path);
        path += size;
    }
    query->fields = text;
}

static void store_flag(struct query *query, const char *name, bool value)
{
    if (strcmp(name, "dry_run") == 0)
        query->dry_run = value;
    else if (strcmp(name, "follow") == 0)
        query->follow = value;
    else if (strcmp(name, "write") == 0)
        query->write = value;
    else if (strcmp(name, "take") == 0)
        query->take = value;
    else if (strcmp(name, "verbose") == 0)
        query->verbose = value;
}

static void store_number(struct query *query, const char *name, int64_t value)
{
    if (strcmp(name, "limit") == 0) {
        query->limit = (unsigned)value;
        query->has_limit = true;
    } else if (strcmp(name, "wait") == 0) {
        query->wait = (unsigned)value;
        query->has_wait = true;
    } else if (strcmp(name, "since") == 0) {
        query->since = (uint64_t)value;
        query->has_since = true;
    } else if (strcmp(name, "offset") == 0) {
        query->offset = value;
        query->has_offset = true;
    }
}

/* Keep a value that fits its schema. */
static void store(const struct contract_route *route, const struct contract_parameter *parameter,
                  char *value, struct query *query, struct api_problem *problem)
{
    unsigned types = contract_schemas[parameter->schema].types;
    if (types & CONTRACT_BOOLEAN)
        store_flag(query, parameter->name, !*value || strcmp(value, "true") == 0);
    else if (types & CONTRACT_INTEGER)
        store_number(query, parameter->name, strtoll(value, NULL, 10));
    else if (strcmp(parameter->name, "filter") == 0)
        parse_filter(route, value, query, problem);
    else if (strcmp(parameter->name, "fields") == 0)
        parse_fields(route, value, query, problem);
    else if (strcmp(parameter->name, "page_token") == 0)
        query->page_token = value;
}

static void parse_pair(const struct contract_route *route, char *pair, unsigned *seen,
                       struct query *query, struct api_problem *problem)
{
    char *value = strchr(pair, '=');
    char empty[] = "";
    char what[256];
    unsigned index;
    if (value)
        *value++ = '\0';
    if (!decode(pair) || (value && !decode(value))) {
        api_problem_parameter(problem, "query", "holds a bad percent escape or control character");
        return;
    }
    const struct contract_parameter *parameter = find_parameter(route, pair, &index);
    if (!parameter) {
        api_problem_parameter(problem, pair, "is not a parameter of %s %s", route->method,
                              route->path);
    } else if (*seen & 1u << index) {
        api_problem_parameter(problem, pair, "is given twice");
    } else if (!(parameter->may_be_empty && (!value || !*value)) &&
               !schema_check_text(parameter->schema, value ? value : "", what, sizeof what)) {
        api_problem_parameter(problem, pair, "%s", what);
    } else {
        *seen |= 1u << index;
        store(route, parameter, value ? value : empty, query, problem);
    }
}

bool query_parse(const struct contract_route *route, const char *raw, struct query *query,
                 struct api_problem *problem)
{
    unsigned seen = 0;
    *query = (struct query){.limit = 100};
    if (!raw || !*raw)
        return true;
    query->text = strdup(raw);
    if (!query->text) {
        api_problem_set(problem, API_PROBLEM_UNAVAILABLE, "The server is out of memory");
        return false;
    }
    char *rest = query->text;
    for (char *pair = strsep(&rest, "&"); pair; pair = strsep(&rest, "&"))
        if (*pair)
            parse_pair(route, pair, &seen, query, problem);
    if (!problem->errors)
        return true;
    problem->type = API_PROBLEM_INVALID_PARAMETER;
    return false;
}

void query_free(struct query *query)
{
    free(query->text);
    query->text = NULL;
}
