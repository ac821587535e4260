/* SPDX-License-Identifier: MIT */
#include "parent/control/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "parent/control/params.h"

bool bh_control_error_set(struct bh_control_error *error, enum bh_control_error_code code,
                          const char *field, const char *format, ...)
{
    va_list arguments;

    error->code = code;
    (void)snprintf(error->field, sizeof(error->field), "%s", field != NULL ? field : "");
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start did */
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return false;
}

void bh_control_timestamp(char text[32])
{
    struct timespec now;
    struct tm utc;
    size_t length;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    length = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + length, 32 - length, ".%03ldZ", now.tv_nsec / 1000000);
}

/* One line of `object`, which is released; NULL without memory. */
static char *encode(json_t *stolen)
{
    char *line = NULL;
    char *text = stolen != NULL ? json_dumps(stolen, JSON_COMPACT) : NULL;

    json_decref(stolen);
    if (text != NULL && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    return line;
}

static json_t *id_json(int64_t id)
{
    return id == BH_CONTROL_NO_ID ? json_null() : json_integer(id);
}

static int64_t read_id(const json_t *object)
{
    const json_t *id = json_object_get(object, "id");
    int64_t value = json_is_integer(id) ? json_integer_value(id) : BH_CONTROL_NO_ID;

    return value >= 0 && value <= BH_CONTROL_ID_MAX ? value : BH_CONTROL_NO_ID;
}

/* The line as an object, or NULL with `error` filled. */
static json_t *load(const char *line, size_t length, struct bh_control_error *error)
{
    json_error_t problem;
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &problem);

    if (object == NULL) {
        bh_control_error_set(error, BH_CONTROL_PARSE_ERROR, NULL, "Not JSON: %s at byte %d.",
                             problem.text, problem.position);
        return NULL;
    }
    if (!json_is_object(object)) {
        json_decref(object);
        bh_control_error_set(error, BH_CONTROL_PARSE_ERROR, NULL, "The line is not an object.");
        return NULL;
    }
    return object;
}

static bool check_envelope(const json_t *object, struct bh_control_request *request,
                           struct bh_control_error *error)
{
    static const struct bh_param members[] = {
        {"id", BH_PARAM_INTEGER, true, 0, BH_CONTROL_ID_MAX},
        {"method", BH_PARAM_TEXT, true, 0, 255},
        {"params", BH_PARAM_OBJECT, false, 0, 0},
    };
    const char *method;

    if (!bh_params_check(object, "", members, sizeof(members) / sizeof(members[0]), error)) {
        error->code = BH_CONTROL_INVALID_REQUEST;
        return false;
    }
    method = json_string_value(json_object_get(object, "method"));
    if (!bh_control_method_parse(method, &request->method))
        return bh_control_error_set(error, BH_CONTROL_UNKNOWN_METHOD, "method",
                                    "There is no method '%.63s'.", method);
    return true;
}

bool bh_control_request_parse(const char *line, size_t length, struct bh_control_request *request,
                              struct bh_control_error *error)
{
    json_t *object;
    json_t *params;
    bool good;

    *request = (struct bh_control_request){.id = BH_CONTROL_NO_ID};
    object = load(line, length, error);
    if (object == NULL)
        return false;
    request->id = read_id(object);
    good = check_envelope(object, request, error);
    if (good) {
        params = json_object_get(object, "params");
        request->params = params != NULL ? json_incref(params) : json_object();
        good = bh_method_params_check(request->method, request->params, error);
    }
    json_decref(object);
    if (!good)
        bh_control_request_release(request);
    return good;
}

void bh_control_request_release(struct bh_control_request *request)
{
    json_decref(request->params);
    request->params = NULL;
    bh_fds_close(&request->fds);
}

const char *bh_control_request_descriptors(const struct bh_control_request *request,
                                           unsigned *count)
{
    const json_t *queues = json_object_get(request->params, "tap_queues");
    const json_t *path;

    *count = 1;
    switch (request->method) {
    case BH_METHOD_DISK_ADD:
        path = json_object_get(json_object_get(request->params, "disk"), "path");
        if (json_string_length(path) > 0)
            return "disk.path";
        break;
    case BH_METHOD_CD_INSERT:
        return "path";
    case BH_METHOD_NIC_ADD:
        if (queues != NULL)
            *count = (unsigned)json_integer_value(queues);
        return "nic.tap";
    default:
        break;
    }
    *count = 0;
    return NULL;
}

char *bh_control_encode_request(int64_t id, enum bh_control_method method, json_t *stolen)
{
    return encode(json_pack("{s:o, s:s, s:o}", "id", id_json(id), "method",
                            bh_control_method_name(method), "params",
                            stolen != NULL ? stolen : json_object()));
}

char *bh_control_encode_result(int64_t id, json_t *stolen)
{
    return encode(json_pack("{s:o, s:o}", "id", id_json(id), "result",
                            stolen != NULL ? stolen : json_object()));
}

char *bh_control_encode_error(int64_t id, const struct bh_control_error *error)
{
    json_t *body = json_pack("{s:s, s:s}", "code", bh_control_error_name(error->code), "message",
                             error->message);

    if (error->field[0] != '\0')
        json_object_set_new(body, "field", json_string(error->field));
    return encode(json_pack("{s:o, s:o}", "id", id_json(id), "error", body));
}

char *bh_control_encode_event(const char *event, json_t *stolen)
{
    char time[32];
    json_t *object;

    bh_control_timestamp(time);
    object = json_pack("{s:s, s:s}", "event", event, "time", time);
    if (stolen != NULL)
        json_object_update_missing(object, stolen);
    json_decref(stolen);
    return encode(object);
}

char *bh_control_encode_hello(const struct bh_control_hello *hello)
{
    return encode(json_pack("{s:s, s:i, s:s, s:s, s:i, s:i, s:s}", "event", "hello", "protocol",
                            BH_CONTROL_PROTOCOL, "worker", hello->worker, "vm", hello->vm, "pid",
                            hello->pid, "keeper", hello->keeper, "state",
                            bh_vm_state_name(hello->state)));
}

static void copy_text(char *to, size_t size, const json_t *text)
{
    const char *value = json_string_value(text);

    (void)snprintf(to, size, "%s", value != NULL ? value : "");
}

static bool read_hello(const json_t *object, struct bh_control_hello *hello,
                       struct bh_control_error *error)
{
    const char *state = json_string_value(json_object_get(object, "state"));
    const json_t *protocol = json_object_get(object, "protocol");

    if (!json_is_integer(protocol) || state == NULL || !bh_vm_state_parse(state, &hello->state))
        return bh_control_error_set(error, BH_CONTROL_PARSE_ERROR, NULL,
                                    "The hello lacks a protocol number or a known state.");
    hello->protocol = (int)json_integer_value(protocol);
    hello->pid = (int)json_integer_value(json_object_get(object, "pid"));
    hello->keeper = (int)json_integer_value(json_object_get(object, "keeper"));
    copy_text(hello->worker, sizeof(hello->worker), json_object_get(object, "worker"));
    copy_text(hello->vm, sizeof(hello->vm), json_object_get(object, "vm"));
    return true;
}

static void read_error(const json_t *body, struct bh_control_error *error)
{
    const char *code = json_string_value(json_object_get(body, "code"));

    error->code = BH_CONTROL_INTERNAL; /* for a code of a newer worker */
    if (code != NULL)
        (void)bh_control_error_parse(code, &error->code);
    copy_text(error->message, sizeof(error->message), json_object_get(body, "message"));
    copy_text(error->field, sizeof(error->field), json_object_get(body, "field"));
}

static bool read_event(json_t *object, const char *event, struct bh_control_message *message,
                       struct bh_control_error *error)
{
    message->kind = BH_CONTROL_EVENT;
    message->body = json_incref(object);
    if (strcmp(event, "hello") != 0)
        return true;
    message->kind = BH_CONTROL_HELLO;
    return read_hello(object, &message->hello, error);
}

static bool read_message(json_t *object, struct bh_control_message *message,
                         struct bh_control_error *error)
{
    const char *event = json_string_value(json_object_get(object, "event"));
    json_t *result = json_object_get(object, "result");
    json_t *failure = json_object_get(object, "error");

    if (event != NULL)
        return read_event(object, event, message, error);
    message->id = read_id(object);
    if (json_is_object(failure)) {
        message->kind = BH_CONTROL_ERROR;
        read_error(failure, &message->error);
        return true;
    }
    if (result == NULL || message->id == BH_CONTROL_NO_ID)
        return bh_control_error_set(error, BH_CONTROL_PARSE_ERROR, NULL,
                                    "The line is neither an event nor an answer.");
    message->kind = BH_CONTROL_RESULT;
    message->body = json_incref(result);
    return true;
}

bool bh_control_message_parse(const char *line, size_t length, struct bh_control_message *message,
                              struct bh_control_error *error)
{
    json_t *object;
    bool good;

    memset(message, 0, sizeof(*message));
    message->id = BH_CONTROL_NO_ID;
    object = load(line, length, error);
    if (object == NULL)
        return false;
    good = read_message(object, message, error);
    json_decref(object);
    if (!good)
        bh_control_message_release(message);
    return good;
}

void bh_control_message_release(struct bh_control_message *message)
{
    json_decref(message->body);
    message->body = NULL;
}
