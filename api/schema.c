/* SPDX-License-Identifier: MIT */
#include "api/schema.h"

#include "api/contract.h"
#include "api/problem.h"
#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One compiled pattern a schema; the second for the names of its other properties. */
struct schema_patterns {
    regex_t value, name;
};

static struct schema_patterns *patterns;

static bool compile(regex_t *regex, const char *pattern)
{
    return !pattern || regcomp(regex, pattern, REG_EXTENDED | REG_NOSUB) == 0;
}

bool schema_prepare(void)
{
    if (patterns)
        return true;
    struct schema_patterns *made = calloc(contract_schema_count, sizeof *made);
    if (!made)
        return false;
    for (size_t i = 0; i < contract_schema_count; i++) {
        if (!compile(&made[i].value, contract_schemas[i].pattern) ||
            !compile(&made[i].name, contract_schemas[i].name_pattern))
            return false;
    }
    patterns = made;
    return true;
}

/* The place of a value in the body, from the outermost on. */
struct place {
    const struct place *outer;
    const char *name; /* NULL: an array's index */
    size_t index;
};

struct check {
    struct api_problem *problem;
};

static void pointer_append(char *pointer, size_t size, const char *part)
{
    size_t used = strlen(pointer);
    for (; *part && used + 3 < size; part++) {
        if (*part == '~' || *part == '/') {
            pointer[used++] = '~';
            pointer[used++] = *part == '~' ? '0' : '1';
        } else {
            pointer[used++] = *part;
        }
    }
    pointer[used] = '\0';
}

static void place_pointer(const struct place *place, char *pointer, size_t size)
{
    char index[24];
    if (!place) {
        *pointer = '\0';
        return;
    }
    place_pointer(place->outer, pointer, size);
    size_t used = strlen(pointer);
    if (used + 2 < size)
        memcpy(pointer + used, "/", 2);
    snprintf(index, sizeof index, "%zu", place->index);
    pointer_append(pointer, size, place->name ? place->name : index);
}

static void fault(struct check *check, const struct place *place, const char *what)
{
    char pointer[256];
    place_pointer(place, pointer, sizeof pointer);
    api_problem_point(check->problem, pointer, "%s", what);
}

static unsigned type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return CONTRACT_OBJECT;
    case JSON_ARRAY:
        return CONTRACT_ARRAY;
    case JSON_STRING:
        return CONTRACT_STRING;
    case JSON_INTEGER:
        return CONTRACT_INTEGER | CONTRACT_NUMBER;
    case JSON_REAL:
        return CONTRACT_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return CONTRACT_BOOLEAN;
    case JSON_NULL:
        break;
    }
    return CONTRACT_NULL;
}

static void describe_types(unsigned types, char *out, size_t size)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{CONTRACT_OBJECT, "an object"}, {CONTRACT_ARRAY, "an array"},
                 {CONTRACT_STRING, "a string"},  {CONTRACT_INTEGER, "an integer"},
                 {CONTRACT_NUMBER, "a number"},  {CONTRACT_BOOLEAN, "true or false"},
                 {CONTRACT_NULL, "null"}};
    size_t used = (size_t)snprintf(out, size, "must be");
    const char *between = " ";
    for (size_t i = 0; i < sizeof names / sizeof names[0] && used < size; i++) {
        if (!(types & names[i].bit))
            continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s", between, names[i].name);
        between = " or ";
    }
}

static bool in_enum(const struct contract_schema *schema, const char *text)
{
    for (unsigned i = 0; i < schema->enum_count; i++)
        if (strcmp(contract_words[schema->enum_first + i], text) == 0)
            return true;
    return false;
}

static void describe_enum(const struct contract_schema *schema, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "must be one of");
    for (unsigned i = 0; i < schema->enum_count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s %s", i ? "," : "",
                                 contract_words[schema->enum_first + i]);
}

/* What is wrong with a text, or false when nothing is. */
static bool text_fault(unsigned index, const char *text, char *what, size_t size)
{
    const struct contract_schema *schema = &contract_schemas[index];
    if (schema->enum_count && !in_enum(schema, text)) {
        describe_enum(schema, what, size);
        return true;
    }
    if (schema->max_length && strlen(text) > schema->max_length) {
        snprintf(what, size, "must be at most %zu bytes long", schema->max_length);
        return true;
    }
    if (schema->pattern && regexec(&patterns[index].value, text, 0, NULL, 0) != 0) {
        snprintf(what, size, "must be %s", schema->pattern_words);
        return true;
    }
    return false;
}

static bool integer_fault(const struct contract_schema *schema, int64_t value, char *what,
                          size_t size)
{
    if (schema->has_minimum && value < schema->minimum) {
        snprintf(what, size, "must be at least %" PRId64, schema->minimum);
        return true;
    }
    if (schema->has_maximum && value > schema->maximum) {
        snprintf(what, size, "must be at most %" PRId64, schema->maximum);
        return true;
    }
    return false;
}

bool schema_parse_bytes(const char *text, int64_t *bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    char *end;
    errno = 0;
    if (*text < '1' || *text > '9')
        return false;
    long long count = strtoll(text, &end, 10);
    if (errno)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(end, units[i]) != 0)
            continue;
        unsigned shift = 10 * (i + 1);
        if (count > INT64_MAX >> shift)
            return false;
        *bytes = count << shift;
        return true;
    }
    return false;
}

static void check_value(struct check *check, unsigned index, json_t *value,
                        const struct place *place);

/* A size written with a unit: turn it into an integer where it stands. */
static json_t *normalize_bytes(unsigned index, json_t *value)
{
    int64_t bytes;
    if (!contract_schemas[index].bytes || !json_is_string(value) ||
        !schema_parse_bytes(json_string_value(value), &bytes))
        return NULL;
    return json_integer(bytes);
}

static const struct contract_property *find_property(const struct contract_schema *schema,
                                                     const char *name)
{
    for (unsigned i = 0; i < schema->property_count; i++) {
        const struct contract_property *property = &contract_properties[schema->property_first + i];
        if (strcmp(property->name, name) == 0)
            return property;
    }
    return NULL;
}

/* The schema of one step of a path, or 0; `open` when nothing is said of what is inside. */
static unsigned step_into(unsigned index, const char *name, bool *open)
{
    const struct contract_schema *schema = &contract_schemas[index];
    const struct contract_property *property = find_property(schema, name);
    *open = schema->types & CONTRACT_OBJECT && !schema->closed && !schema->additional &&
            !schema->property_count;
    return property ? property->schema : schema->additional;
}

bool schema_has_path(unsigned schema, const char *path, size_t size)
{
    char copy[256];
    char *rest = copy;
    bool open = false;
    if (size >= sizeof copy)
        return false;
    snprintf(copy, sizeof copy, "%.*s", (int)size, path);
    for (char *name = strsep(&rest, "."); name && !open; name = strsep(&rest, ".")) {
        schema = step_into(schema, name, &open);
        if (!schema && !open)
            return false;
    }
    return true;
}

static void check_required(struct check *check, const struct contract_schema *schema,
                           const json_t *value, const struct place *place)
{
    for (unsigned i = 0; i < schema->property_count; i++) {
        const struct contract_property *property = &contract_properties[schema->property_first + i];
        if (property->required && !json_object_get(value, property->name)) {
            struct place inner = {place, property->name, 0};
            fault(check, &inner, "is required");
        }
    }
}

/* The schema of a member, or 0 after saying that it may not be there. */
static unsigned member_schema(struct check *check, unsigned index, const char *name,
                              const struct place *place)
{
    const struct contract_schema *schema = &contract_schemas[index];
    const struct contract_property *property = find_property(schema, name);
    if (property)
        return property->schema;
    if (schema->closed) {
        fault(check, place, "is not a field that can be set here");
        return 0;
    }
    if (schema->name_pattern && regexec(&patterns[index].name, name, 0, NULL, 0) != 0) {
        char what[160];
        snprintf(what, sizeof what, "the name must be %s", schema->name_pattern_words);
        fault(check, place, what);
        return 0;
    }
    return schema->additional;
}

static void check_object(struct check *check, unsigned index, json_t *value,
                         const struct place *place)
{
    const struct contract_schema *schema = &contract_schemas[index];
    const char *name;
    json_t *member;
    void *next;
    check_required(check, schema, value, place);
    if (schema->max_properties && json_object_size(value) > schema->max_properties)
        fault(check, place, "has too many members");
    json_object_foreach_safe(value, next, name, member)
    {
        struct place inner = {place, name, 0};
        unsigned child = member_schema(check, index, name, &inner);
        if (!child)
            continue;
        json_t *bytes = normalize_bytes(child, member);
        if (bytes) {
            check_value(check, child, bytes, &inner);
            json_object_set_new(value, name, bytes);
        } else {
            check_value(check, child, member, &inner);
        }
    }
}

static void check_array(struct check *check, const struct contract_schema *schema, json_t *value,
                        const struct place *place)
{
    if (schema->max_items && json_array_size(value) > schema->max_items) {
        fault(check, place, "has too many items");
        return;
    }
    for (size_t i = 0; schema->items && i < json_array_size(value); i++) {
        struct place inner = {place, NULL, i};
        check_value(check, schema->items, json_array_get(value, i), &inner);
    }
}

/* What is wrong with a string or an integer. */
static bool scalar_fault(unsigned index, const json_t *value, char *what, size_t size)
{
    const struct contract_schema *schema = &contract_schemas[index];
    if (json_is_integer(value))
        return integer_fault(schema, json_integer_value(value), what, size);
    if (!json_is_string(value))
        return false;
    if (!schema->bytes)
        return text_fault(index, json_string_value(value), what, size);
    snprintf(what, size, "must be bytes, or a size such as \"512MiB\" or \"2GiB\"");
    return true;
}

static void check_value(struct check *check, unsigned index, json_t *value,
                        const struct place *place)
{
    const struct contract_schema *schema = &contract_schemas[index];
    char what[512];
    if (!(type_of(value) & schema->types)) {
        describe_types(schema->types, what, sizeof what);
        fault(check, place, what);
        return;
    }
    if (json_is_object(value))
        check_object(check, index, value, place);
    else if (json_is_array(value))
        check_array(check, schema, value, place);
    else if (scalar_fault(index, value, what, sizeof what))
        fault(check, place, what);
}

bool schema_check(unsigned schema, json_t *value, struct api_problem *problem)
{
    struct check check = {problem};
    check_value(&check, schema, value, NULL);
    if (!problem->errors)
        return true;
    problem->type = API_PROBLEM_INVALID_FIELDS;
    return false;
}

static bool parse_integer(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    if ((*text < '0' || *text > '9') && *text != '-')
        return false;
    *value = strtoll(text, &end, 10);
    return !errno && !*end && end != text;
}

bool schema_check_text(unsigned index, const char *text, char *what, size_t size)
{
    const struct contract_schema *schema = &contract_schemas[index];
    int64_t value;
    if (schema->types & CONTRACT_BOOLEAN) {
        snprintf(what, size, "must be true or false");
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    }
    if (schema->types & CONTRACT_INTEGER) {
        if (!parse_integer(text, &value)) {
            snprintf(what, size, "must be an integer");
            return false;
        }
        return !integer_fault(schema, value, what, size);
    }
    return !text_fault(index, text, what, size);
}
