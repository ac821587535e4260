/* SPDX-License-Identifier: MIT */
#include "parent/partition/requests.h"

#include "parent/driver/uapi/bulkhead.h"
#include "parent/driver/uapi/mshv.h"

const uint32_t bh_requests[] = {
    MSHV_CREATE_PARTITION, MSHV_INITIALIZE_PARTITION, MSHV_CREATE_VP,
    MSHV_SET_GUEST_MEMORY, MSHV_ROOT_HVCALL,          MSHV_RUN_VP,
    BH_IOC_GET_STATS,      BH_IOC_PARTITION_ID,       BH_IOC_OPEN_MESSAGE_PORT,
    BH_IOC_EVENT_PORT,     BH_IOC_POST_MESSAGE,       BH_IOC_SIGNAL_EVENT,
    BH_IOC_WATCH_ROOM,
};
const size_t bh_request_count = sizeof(bh_requests) / sizeof(bh_requests[0]);
