/* SPDX-License-Identifier: MIT */
/*
 * One writer a console. An open stream holds the keyboard of its VM; single POSTs may type while
 * nobody holds it, or while their own caller does. A later stream may take the keyboard; the
 * earlier one then only reads.
 */
#include "api/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct keyboard {
    struct keyboard *next;
    const void *holder;
    char uuid[API_UUID_SIZE];
    char caller[96];
};

static pthread_mutex_t keyboard_lock = PTHREAD_MUTEX_INITIALIZER;
static struct keyboard *keyboards;

static struct keyboard *keyboard_find(const char *uuid)
{
    for (struct keyboard *k = keyboards; k; k = k->next)
        if (strcmp(k->uuid, uuid) == 0)
            return k;
    return NULL;
}

static const char *caller_key(const struct api_caller *caller)
{
    return *caller->token ? caller->token : caller->name;
}

bool keyboard_hold(const char *uuid, const void *holder, const struct api_caller *caller, bool take)
{
    pthread_mutex_lock(&keyboard_lock);
    struct keyboard *keyboard = keyboard_find(uuid);
    bool free_to_take = !keyboard || take;
    if (!keyboard && (keyboard = calloc(1, sizeof *keyboard))) {
        snprintf(keyboard->uuid, sizeof keyboard->uuid, "%s", uuid);
        keyboard->next = keyboards;
        keyboards = keyboard;
    }
    if (keyboard && free_to_take) {
        keyboard->holder = holder;
        memset(keyboard->caller, 0, sizeof keyboard->caller);
        memcpy(keyboard->caller, caller_key(caller),
               strnlen(caller_key(caller), sizeof keyboard->caller - 1));
    }
    pthread_mutex_unlock(&keyboard_lock);
    return keyboard && free_to_take;
}

bool keyboard_is_held_by(const char *uuid, const void *holder)
{
    pthread_mutex_lock(&keyboard_lock);
    struct keyboard *keyboard = keyboard_find(uuid);
    bool held = keyboard && keyboard->holder == holder;
    pthread_mutex_unlock(&keyboard_lock);
    return held;
}

bool keyboard_may_type(const char *uuid, const struct api_caller *caller)
{
    pthread_mutex_lock(&keyboard_lock);
    struct keyboard *keyboard = keyboard_find(uuid);
    bool may = !keyboard || strcmp(keyboard->caller, caller_key(caller)) == 0;
    pthread_mutex_unlock(&keyboard_lock);
    return may;
}

void keyboard_release(const char *uuid, const void *holder)
{
    pthread_mutex_lock(&keyboard_lock);
    for (struct keyboard **link = &keyboards; *link; link = &(*link)->next) {
        struct keyboard *keyboard = *link;
        if (strcmp(keyboard->uuid, uuid) == 0 && keyboard->holder == holder) {
            *link = keyboard->next;
            free(keyboard);
            break;
        }
    }
    pthread_mutex_unlock(&keyboard_lock);
}
