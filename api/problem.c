/* SPDX-License-Identifier: MIT */
#include "api/problem.h"

#include "api/contract.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ERRORS = 64 };

void api_problem_set(struct api_problem *problem, enum api_problem_type type, const char *format,
                     ...)
{
    va_list arguments;
    problem->type = type;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start did */
    vsnprintf(problem->detail, sizeof problem->detail, format, arguments);
    va_end(arguments);
}

/* Add {key: place, "detail": text}. Out of memory loses the entry, not the refusal. */
static void problem_add(struct api_problem *problem, const char *key, const char *place,
                        const char *format, va_list arguments)
{
    char detail[512];
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the caller began it */
    vsnprintf(detail, sizeof detail, format, arguments);
    if (!problem->errors)
        problem->errors = json_array();
    if (json_array_size(problem->errors) >= MAX_ERRORS)
        return;
    json_t *entry = json_pack("{s:s, s:s}", key, place, "detail", detail);
    if (!entry)
        entry = json_pack("{s:s}", "detail", "is not valid UTF-8");
    json_array_append_new(problem->errors, entry);
}

void api_problem_point(struct api_problem *problem, const char *pointer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    problem_add(problem, "pointer", pointer, format, arguments);
    va_end(arguments);
}

void api_problem_parameter(struct api_problem *problem, const char *parameter, const char *format,
                           ...)
{
    va_list arguments;
    va_start(arguments, format);
    problem_add(problem, "parameter", parameter, format, arguments);
    va_end(arguments);
}

void api_problem_unknown_sequence(struct api_problem *problem, uint64_t wanted, uint64_t newest)
{
    api_problem_set(problem, API_PROBLEM_UNKNOWN_SEQUENCE,
                    "There is no event %" PRIu64 " here; the newest is %" PRIu64 ".", wanted,
                    newest);
    api_problem_parameter(problem, "since", "is the number of no event");
}

void api_problem_clear(struct api_problem *problem)
{
    json_decref(problem->errors);
    *problem = (struct api_problem){0};
}

int api_problem_status(const struct api_problem *problem)
{
    return contract_problems[problem->type].status;
}

static void render_member(struct text *out, const char *name, const char *value)
{
    if (!*value)
        return;
    text_printf(out, ",\"%s\":", name);
    text_json(out, value);
}

/* The first of the errors in one sentence, for those who read no further. */
static void first_error(const struct api_problem *problem, char *text, size_t size)
{
    const json_t *error = json_array_get(problem->errors, 0);
    const char *place = json_string_value(json_object_get(error, "pointer"));
    const char *detail = json_string_value(json_object_get(error, "detail"));
    size_t others = json_array_size(problem->errors) - 1;
    char more[32] = "";
    if (!place)
        place = json_string_value(json_object_get(error, "parameter"));
    if (others)
        snprintf(more, sizeof more, " (and %zu more)", others);
    snprintf(text, size, "%s: %s%s.", place ? place : "", detail ? detail : "", more);
}

static void render_detail(struct text *out, const struct api_problem *problem, const char *remedy)
{
    char detail[sizeof problem->detail + 640];
    char what[sizeof problem->detail + 320];
    size_t length;
    snprintf(what, sizeof what, "%s", problem->detail);
    if (!*what && json_array_size(problem->errors))
        first_error(problem, what, sizeof what);
    length = strlen(what);
    if (length)
        snprintf(detail, sizeof detail, "%s%s %s", what, what[length - 1] == '.' ? "" : ".",
                 remedy);
    text_json(out, length ? detail : remedy);
}

void api_problem_render(const struct api_problem *problem, const char *instance,
                        const char *request_id, struct text *out)
{
    const struct contract_problem *kind = &contract_problems[problem->type];
    text_printf(out, "{\"type\":\"/docs#problem-%s\",\"title\":", kind->name);
    text_json(out, kind->title);
    text_printf(out, ",\"status\":%d,\"detail\":", kind->status);
    render_detail(out, problem, kind->remedy);
    render_member(out, "instance", instance);
    render_member(out, "request_id", request_id);
    if (problem->errors && json_array_size(problem->errors)) {
        char *errors = json_dumps(problem->errors, JSON_COMPACT);
        if (errors)
            text_printf(out, ",\"errors\":%s", errors);
        free(errors);
    }
    render_member(out, "operation", problem->operation);
    render_member(out, "holder", problem->holder);
    if (problem->retry_after)
        text_printf(out, ",\"retry_after\":%u", problem->retry_after);
    if (problem->oldest)
        text_printf(out, ",\"oldest\":%llu", (unsigned long long)problem->oldest);
    text_append(out, "}", 1);
}
