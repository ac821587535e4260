# SPDX-License-Identifier: MIT
"""The group child: partitions made, run and taken apart by the parent, and real guests in them."""

from lib.suite import Group

GROUP = Group("child")

# Each file registers its tests; they run in this order.
from system.child import device, ports, kernels  # noqa: E402,F401
from system.child import guests, matrix, control, state, together, hostile  # noqa: E402,F401
