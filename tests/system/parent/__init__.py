# SPDX-License-Identifier: MIT
"""The group parent: a stock Debian kernel as the hypervisor's parent partition."""

from lib.suite import Group

GROUP = Group("parent")

# Each file registers its tests; they run in this order.
from system.parent import boot, options, refusals  # noqa: E402,F401
from system.parent import devices, interrupts, driver, faults, hidden, isolation, readme  # noqa: E402,F401
