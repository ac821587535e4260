# SPDX-License-Identifier: MIT
"""The group vmbus: unmodified Debian kernels with disks on VMBus."""

from lib.suite import Group

GROUP = Group("vmbus")

from system.vmbus import disks, power  # noqa: E402,F401  each registers its tests
