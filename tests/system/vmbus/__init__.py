# SPDX-License-Identifier: MIT
"""The group vmbus: unmodified Debian kernels with disks, network cards and services on VMBus."""

from lib.suite import Group

GROUP = Group("vmbus")

# Each registers its tests; what takes longest comes first.
from system.vmbus import debian, client, disks, nbd, network, power, restart, services  # noqa: E402,F401
