/* SPDX-License-Identifier: MIT */
/* Intercept messages, register pages, and the list of those who have news. */
#include "hv/core/intercept.h"

#include "hv/arch.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define INTERCEPT_SINT 0u

/* ---- the list ---- */

static void add_news(struct vp *vp, uint32_t news)
{
    struct vp *parent_vp = arch_parent_vp(vp);
    const bool listed = vp->news != 0;
    vp->news |= news;
    if (!listed) {
        struct vp **end = &parent_vp->news_first;
        while (*end != NULL)
            end = &(*end)->next_news;
        vp->next_news = NULL;
        *end = vp;
    }
    intercept_deliver(parent_vp);
}

void intercept_forget(struct vp *vp)
{
    struct vp *parent_vp = arch_parent_vp(vp);
    if (parent_vp->waits_for == vp)
        parent_vp->waits_for = NULL;
    for (struct vp **at = &parent_vp->news_first; *at != NULL; at = &(*at)->next_news) {
        if (*at == vp) {
            *at = vp->next_news;
            break;
        }
    }
    vp->news = 0;
}

/* False: the slot is busy; the parent's EOM brings us back. */
static bool tell(struct vp *parent_vp, const struct vp *vp, uint32_t type, const void *payload,
                 size_t size)
{
    struct hv_message message = {
        .type = type, .payload_size = (uint8_t)size, .sender = vp->partition->id};
    memcpy(message.payload, payload, size);
    return synic_post_message(parent_vp, INTERCEPT_SINT, &message) == HV_STATUS_SUCCESS;
}

static bool tell_eoi(struct vp *parent_vp, struct vp *vp)
{
    for (int vector; (vector = vectors_highest(vp->ended)) != VECTORS_NONE;) {
        const struct hv_apic_eoi_message payload = {vp->index, (uint32_t)vector};
        if (!tell(parent_vp, vp, HV_MESSAGE_APIC_EOI, &payload, sizeof payload))
            return false;
        vectors_remove(vp->ended, (uint8_t)vector);
    }
    return true;
}

static bool tell_room(struct vp *parent_vp, struct vp *vp)
{
    const struct hv_sint_deliverable payload = {.header = {.vp_index = vp->index},
                                                .sints = UINT16_MAX};
    return tell(parent_vp, vp, HV_MESSAGE_SINT_DELIVERABLE, &payload, sizeof payload);
}

static bool tell_intercept(struct vp *parent_vp, struct vp *vp)
{
    const struct hv_opaque_intercept payload = {vp->index};
    return tell(parent_vp, vp, HV_MESSAGE_OPAQUE_INTERCEPT, &payload, sizeof payload);
}

static bool tell_first(struct vp *parent_vp, struct vp *vp)
{
    switch (vp->news & -vp->news) {
    case VP_NEWS_EOI:
        return tell_eoi(parent_vp, vp);
    case VP_NEWS_ROOM:
        return tell_room(parent_vp, vp);
    default:
        return tell_intercept(parent_vp, vp);
    }
}

static bool tell_rings(struct vp *parent_vp)
{
    uint32_t *left = &parent_vp->rings_signaled;
    for (; *left != 0; *left &= *left - 1) {
        const struct hv_sint_intercept payload = {(uint32_t)__builtin_ctz(*left)};
        if (!tell(parent_vp, parent_vp, HV_MESSAGE_SINT_INTERCEPT, &payload, sizeof payload))
            return false;
    }
    return true;
}

void intercept_deliver(struct vp *parent_vp)
{
    if (!tell_rings(parent_vp))
        return;
    while (parent_vp->news_first != NULL) {
        struct vp *vp = parent_vp->news_first;
        for (; vp->news != 0; vp->news &= vp->news - 1)
            if (!tell_first(parent_vp, vp))
                return;
        parent_vp->news_first = vp->next_news;
    }
}

/* ---- pages of the parent ---- */

static const uint32_t page_segments[] = {HV_REGISTER_ES, HV_REGISTER_CS, HV_REGISTER_SS,
                                         HV_REGISTER_DS, HV_REGISTER_FS, HV_REGISTER_GS};

static void fill_register_page(struct vp *vp)
{
    struct hv_register_page *page = overlay_map(&vp->register_page);
    if (page == NULL)
        return;
    page->version = HV_REGISTER_PAGE_VERSION;
    page->dirty = 0;
    memcpy(page->general, &vp->registers, sizeof page->general);
    page->cr8 = vp->apic.tpr >> 4;
    arch_fill_register_page(vp, page);
    page->is_valid = 1;
    arch_window_unmap(page);
}

static void write_register(struct vp *vp, uint32_t name, uint64_t raw)
{
    const union hv_register_value value = {.u128 = {raw, 0}};
    arch_set_register(vp, name, &value);
}

static void load_segments(struct vp *vp, const struct hv_register_page *page)
{
    for (unsigned i = 0; i < ARRAY_COUNT(page_segments); i++) {
        const union hv_register_value value = {.segment = page->segment[i]};
        arch_set_register(vp, page_segments[i], &value);
    }
}

static void load_register_page(struct vp *vp)
{
    struct hv_register_page *page = overlay_map(&vp->register_page);
    if (page == NULL)
        return;
    const uint32_t dirty = page->is_valid ? page->dirty : 0;
    if (dirty & HV_REGISTER_PAGE_DIRTY_GENERAL) {
        memcpy(&vp->registers, page->general, sizeof page->general);
        write_register(vp, HV_REGISTER_RSP, page->general[4]);
    }
    if (dirty & HV_REGISTER_PAGE_DIRTY_RIP)
        write_register(vp, HV_REGISTER_RIP, page->rip);
    if (dirty & HV_REGISTER_PAGE_DIRTY_RFLAGS)
        write_register(vp, HV_REGISTER_RFLAGS, page->rflags);
    if (dirty & HV_REGISTER_PAGE_DIRTY_SEGMENT)
        load_segments(vp, page);
    page->is_valid = 0;
    page->dirty = 0;
    arch_window_unmap(page);
}

/* ---- stop and go ---- */

/* The type comes last: who sees it finds everything else in the pages. */
static void fill_intercept_page(const struct vp *vp, uint32_t type, const void *payload,
                                size_t size)
{
    struct hv_message *page = overlay_map(&vp->intercept_page);
    if (page == NULL)
        return;
    page->payload_size = (uint8_t)size;
    page->sender = vp->partition->id;
    memcpy(page->payload, payload, size);
    __atomic_store_n(&page->type, type, __ATOMIC_RELEASE);
    arch_window_unmap(page);
}

void intercept_raise(struct vp *vp, uint32_t type, const void *payload, size_t size)
{
    struct vp *parent_vp = arch_parent_vp(vp);
    vp->intercept_suspend = true;
    fill_register_page(vp);
    fill_intercept_page(vp, type, payload, size);
    if (parent_vp->activity == VP_HALTED && parent_vp->waits_for == vp)
        vp_notify(parent_vp);
    else
        add_news(vp, VP_NEWS_INTERCEPT);
}

void intercept_resume(struct vp *vp)
{
    if (!vp->intercept_suspend)
        return;
    load_register_page(vp);
    vp->intercept_suspend = false;
}

void intercept_tell_eoi(struct vp *vp, uint8_t vector)
{
    vectors_add(vp->ended, vector);
    add_news(vp, VP_NEWS_EOI);
}

void intercept_tell_room(struct vp *vp)
{
    add_news(vp, VP_NEWS_ROOM);
}

void intercept_tell_ring(struct vp *parent_vp, uint32_t sint)
{
    parent_vp->rings_signaled |= 1u << sint;
    intercept_deliver(parent_vp);
}
