# SPDX-License-Identifier: MIT
"""The group vmbus: unmodified Debian kernels with disks, network cards and services on VMBus."""

from lib.suite import Group

GROUP = Group("vmbus")

from system.vmbus import client, disks, nbd, network, power, services  # noqa: E402,F401  each registers its tests
