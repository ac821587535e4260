/* SPDX-License-Identifier: MIT */
/* GUIDs as they are on the wire: the first three groups little-endian, the rest byte by byte. */
#ifndef VSP_PROTOCOL_GUID_H
#define VSP_PROTOCOL_GUID_H

#include <stdint.h>

struct vmbus_guid {
    uint32_t a;
    uint16_t b;
    uint16_t c;
    uint8_t d[8];
};
_Static_assert(sizeof(struct vmbus_guid) == 16, "GUID");

/* The device classes of VMBus. */
#define VMBUS_CLASS_NETWORK                                \
    {                                                      \
        0xf8615163, 0xdf3e, 0x46c5,                        \
        {                                                  \
            0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e \
        }                                                  \
    }
#define VMBUS_CLASS_SCSI                                   \
    {                                                      \
        0xba6163d9, 0x04a1, 0x4d29,                        \
        {                                                  \
            0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f \
        }                                                  \
    }
#define VMBUS_CLASS_SHUTDOWN                               \
    {                                                      \
        0x0e0b6031, 0x5213, 0x4934,                        \
        {                                                  \
            0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb \
        }                                                  \
    }
#define VMBUS_CLASS_TIME                                   \
    {                                                      \
        0x9527e630, 0xd0ae, 0x497b,                        \
        {                                                  \
            0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf \
        }                                                  \
    }
#define VMBUS_CLASS_HEARTBEAT                              \
    {                                                      \
        0x57164f39, 0x9115, 0x4e78,                        \
        {                                                  \
            0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d \
        }                                                  \
    }
#define VMBUS_CLASS_KVP                                    \
    {                                                      \
        0xa9a0f4e7, 0x5a45, 0x4d96,                        \
        {                                                  \
            0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6 \
        }                                                  \
    }

#endif
