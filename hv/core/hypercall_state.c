/* SPDX-License-Identifier: MIT */
/* State of a child's VP as blobs, and its translation of addresses. Always on the VP's LP. */
#include "hv/arch.h"
#include "hv/core/guest_walk.h"
#include "hv/core/hypercall.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"
#include "hv/core/vp_register.h"
#include "hv/core/xsave.h"

#define CACHE_WRITE_BACK 6u
#define TRANSLATE_FLAGS  0x3ffull

/* ---- blobs through pages of the caller ---- */

/* Between `data` and the pages that the variable header lists, from page number `first` on. */
static enum hv_status move(const struct hypercall *call, uint8_t *data, uint64_t size,
                           unsigned first, bool set)
{
    const struct hv_input_vp_state *input = call->input;
    const uint64_t *page = (const uint64_t *)(input + 1);
    struct partition *parent = call->vp->partition;
    if (ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE > call->variable_words)
        return HV_STATUS_INVALID_PARAMETER;
    for (uint64_t at = first * PAGE_SIZE; at < size; at += PAGE_SIZE) {
        const gpa_t gpa = gpa_make(page[at / PAGE_SIZE] << PAGE_SHIFT);
        const size_t part = size - at < PAGE_SIZE ? size - at : PAGE_SIZE;
        if (!(set ? partition_read(parent, gpa, data + at, part)
                  : partition_write(parent, gpa, data + at, part)))
            return HV_STATUS_INVALID_PARAMETER;
    }
    return HV_STATUS_SUCCESS;
}

static enum hv_status move_apic(const struct hypercall *call, struct vp *vp, bool set)
{
    struct hv_lapic_state state;
    vapic_get_state(vp, &state);
    const enum hv_status status = move(call, (uint8_t *)&state, sizeof state, 0, set);
    if (status == HV_STATUS_SUCCESS && set && !vapic_set_state(vp, &state))
        return HV_STATUS_INVALID_REGISTER_VALUE;
    return status;
}

/* The first page goes through the output page, so that it is checked before anything changes. */
static enum hv_status move_xsave(const struct hypercall *call, struct vp *vp, bool set)
{
    uint8_t *head = call->output;
    uint8_t *area = arch_vp_xsave(vp);
    const uint64_t size = arch_xsave_size();
    const uint64_t head_size = size < PAGE_SIZE ? size : PAGE_SIZE;
    if (!set)
        return move(call, area, size, 0, false);
    const enum hv_status status = move(call, head, head_size, 0, true);
    if (status != HV_STATUS_SUCCESS)
        return status;
    if (!xsave_is_valid(head))
        return HV_STATUS_INVALID_REGISTER_VALUE;
    if (move(call, area, size, 1, true) != HV_STATUS_SUCCESS)
        return HV_STATUS_INVALID_PARAMETER;
    memcpy(area, head, head_size);
    return HV_STATUS_SUCCESS;
}

static enum hv_status move_page(const struct hypercall *call, const struct overlay *overlay,
                                bool set)
{
    uint8_t *page = overlay_map(overlay);
    if (page == NULL)
        return HV_STATUS_INVALID_VP_STATE;
    const enum hv_status status = move(call, page, PAGE_SIZE, 0, set);
    arch_window_unmap(page);
    return status;
}

static enum hv_status move_timers(const struct hypercall *call, struct vp *vp, bool set)
{
    const struct hv_input_vp_state *input = call->input;
    const struct hv_stimers_state *state = (const struct hv_stimers_state *)(input + 1);
    if (!set) {
        stimer_get_state(vp, call->output);
        return HV_STATUS_SUCCESS;
    }
    if (call->variable_words < sizeof *state / 8)
        return HV_STATUS_INVALID_PARAMETER;
    return stimer_set_state(vp, state) ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_REGISTER_VALUE;
}

static void move_state(void *argument)
{
    struct vp_work *work = argument;
    const struct hv_input_vp_state *input = work->call->input;
    const bool set = work->call->code == HVCALL_SET_VP_STATE;
    if (input->type == HV_VP_STATE_LAPIC)
        work->status = move_apic(work->call, work->vp, set);
    else if (input->type == HV_VP_STATE_XSAVE)
        work->status = move_xsave(work->call, work->vp, set);
    else if (input->type == HV_VP_STATE_SIMP)
        work->status = move_page(work->call, &work->vp->synic.messages, set);
    else if (input->type == HV_VP_STATE_SIEFP)
        work->status = move_page(work->call, &work->vp->synic.events, set);
    else if (input->type == HV_VP_STATE_STIMERS)
        work->status = move_timers(work->call, work->vp, set);
    else
        work->status = HV_STATUS_INVALID_PARAMETER;
}

/* Get and set. */
enum hv_status hypercall_vp_state(struct hypercall *call)
{
    const struct hv_input_vp_state *input = call->input;
    if (input->input_vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    call->no_output = input->type != HV_VP_STATE_STIMERS;
    return hypercall_run_on_vp(call, move_state);
}

/* ---- translation ---- */

static uint64_t read_register(struct vp *vp, uint32_t name)
{
    union hv_register_value value;
    vp_get_register(vp, name, &value);
    return value.u64;
}

/* As the VP itself would access it, unless the flags say who does. */
static uint64_t with_privilege(struct vp *vp, uint64_t flags)
{
    union hv_register_value ss;
    if (flags & (HV_TRANSLATE_SUPERVISOR | HV_TRANSLATE_USER))
        return flags;
    vp_get_register(vp, HV_REGISTER_SS, &ss);
    return flags | ((ss.segment.attributes >> 5 & 3) == 3 ? HV_TRANSLATE_USER : 0);
}

static void translate(void *argument)
{
    struct vp_work *work = argument;
    struct vp *vp = work->vp;
    const struct hv_input_translate *input = work->call->input;
    struct hv_output_translate *output = work->call->output;
    const struct guest_paging paging = {
        read_register(vp, HV_REGISTER_CR0), read_register(vp, HV_REGISTER_CR3),
        read_register(vp, HV_REGISTER_CR4), read_register(vp, HV_REGISTER_EFER)};
    gpa_t gpa = gpa_make(0);
    output->code = guest_translate(vp->partition, &paging, input->gva_page << PAGE_SHIFT,
                                   with_privilege(vp, input->flags), &gpa);
    output->cache = CACHE_WRITE_BACK;
    output->gpa_page = gpa.raw >> PAGE_SHIFT;
}

/* The guest's tables are only read: accessed and dirty bits are not set. */
enum hv_status hypercall_translate(struct hypercall *call)
{
    const struct hv_input_translate *input = call->input;
    if (input->flags & ~TRANSLATE_FLAGS)
        return HV_STATUS_INVALID_PARAMETER;
    return hypercall_run_on_vp(call, translate);
}
