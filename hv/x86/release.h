/* SPDX-License-Identifier: MIT */
/* Which Bulkhead this is. The build defines the two texts. */
#ifndef HV_X86_RELEASE_H
#define HV_X86_RELEASE_H

#ifndef BULKHEAD_RELEASE
#error "the build defines BULKHEAD_RELEASE and BULKHEAD_BUILD"
#endif

/* The hypervisor's command line as it was given. */
extern const char *release_command_line;

#endif
