# SPDX-License-Identifier: MIT
"""The group appliance: the host as one image, its data disk, and packaging/try."""

from lib.suite import Group

GROUP = Group("appliance")

# Each file registers its tests; they run in this order.
from system.appliance import host, life, once  # noqa: E402,F401
