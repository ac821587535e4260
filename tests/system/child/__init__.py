# SPDX-License-Identifier: MIT
"""The group child: partitions made, run and taken apart by the parent, and real guests in them."""

from lib.suite import Group

GROUP = Group("child")

from system.child import device, ports, guests, control, state, together  # noqa: E402,F401  each registers its tests
