/* SPDX-License-Identifier: MIT */
#include "api/problem.h"

#include "api/contract.h"
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

void api_problem_render(const struct api_problem *problem, const char *instance,
                        const char *request_id, struct text *out)
{
    const struct contract_problem *kind = &contract_problems[problem->type];
    text_printf(out, "{\"type\":\"/docs#problem-%s\",\"title\":", kind->name);
    text_json(out, kind->title);
    text_printf(out, ",\"status\":%d,\"detail\":", kind->status);
    if (*problem->detail) {
        char detail[sizeof problem->detail + 256];
        const char *end = problem->detail + strlen(problem->detail) - 1;
        snprintf(detail, sizeof detail, "%s%s %s", problem->detail, *end == '.' ? "" : ".",
                 kind->remedy);
        text_json(out, detail);
    } else {
        text_json(out, kind->remedy);
    }
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
