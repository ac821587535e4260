/* SPDX-License-Identifier: MIT */
#include "parent/worker/added.h"

#include <errno.h>
#include <unistd.h>

/* --- places ------------------------------------------------------------------------------- */

static bool is_taken(const struct bh_added_places *places, uint32_t place)
{
    return (places->bits[(place - 1) / 64] >> ((place - 1) % 64) & 1) != 0;
}

void bh_added_place_take(struct bh_added_places *places, uint32_t place)
{
    if (place != 0)
        places->bits[(place - 1) / 64] |= UINT64_C(1) << ((place - 1) % 64);
}

/* 0 when all of them are taken. */
static uint32_t find_free(const struct bh_added_places *places, uint32_t count)
{
    for (uint32_t place = 1; place <= count; place++)
        if (!is_taken(places, place))
            return place;
    return 0;
}

static unsigned disk_name(uint32_t place)
{
    return BH_KEPT_DISK + place - 1;
}

static unsigned nic_name(uint32_t place, unsigned queue)
{
    return BH_KEPT_NIC + (place - 1) * BH_FDS_MAX + queue;
}

/* --- keeping ------------------------------------------------------------------------------ */

uint32_t bh_added_keep_disk(const struct bh_added *added, const struct bh_added_places *places,
                            int fd, struct bh_error *error)
{
    uint32_t place = find_free(places, BH_KEPT_DISKS);

    if (place == 0)
        (void)bh_error_set(error, ENOSPC, "The worker's keeper has no place for another disk.");
    else if (!bh_kept_put(added->kept, disk_name(place), fd, error))
        place = 0;
    return place;
}

uint32_t bh_added_keep_nic(const struct bh_added *added, const struct bh_added_places *places,
                           const struct bh_fds *fds, struct bh_error *error)
{
    uint32_t place = find_free(places, BH_KEPT_NICS);

    if (place == 0) {
        (void)bh_error_set(error, ENOSPC, "The worker's keeper has no place for another NIC.");
        return 0;
    }
    for (unsigned i = 0; i < fds->count; i++)
        if (!bh_kept_put(added->kept, nic_name(place, i), fds->fd[i], error))
            return 0;
    return place;
}

static void forget(struct bh_kept *kept, unsigned name)
{
    struct bh_error ignored; /* a keeper that is gone takes this process with it */

    (void)bh_kept_put(kept, name, -1, &ignored);
}

void bh_added_forget_disk(struct bh_kept *kept, uint32_t place)
{
    if (place != 0)
        forget(kept, disk_name(place));
}

void bh_added_forget_nic(struct bh_kept *kept, uint32_t place)
{
    for (unsigned i = 0; place != 0 && i < BH_FDS_MAX; i++)
        forget(kept, nic_name(place, i));
}

/* --- taking up ---------------------------------------------------------------------------- */

int bh_added_take_disk(struct bh_kept *kept, uint32_t place)
{
    return place >= 1 && place <= BH_KEPT_DISKS ? bh_kept_take(kept, disk_name(place)) : -1;
}

struct bh_fds bh_added_take_nic(struct bh_kept *kept, uint32_t place)
{
    struct bh_fds fds = bh_fds_one(-1);

    if (place < 1 || place > BH_KEPT_NICS)
        return fds;
    while (fds.count < BH_FDS_MAX && kept->fd[nic_name(place, fds.count)] >= 0) {
        fds.fd[fds.count] = bh_kept_take(kept, nic_name(place, fds.count));
        fds.count++;
    }
    return fds;
}

void bh_added_forget_rest(struct bh_kept *kept)
{
    for (unsigned name = BH_KEPT_DISK; name < BH_KEPT_PARTITION; name++) {
        int fd = bh_kept_take(kept, name);

        if (fd < 0)
            continue;
        (void)close(fd);
        forget(kept, name);
    }
}
