# SPDX-License-Identifier: MIT
"""The group parent: a stock Debian kernel as the hypervisor's parent partition."""

from lib.suite import Group

GROUP = Group("parent")

from system.parent import boot, devices, interrupts  # noqa: E402,F401
