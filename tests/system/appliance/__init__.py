# SPDX-License-Identifier: MIT
"""The group appliance: the host as one image, its data disk, and packaging/try."""

from lib.suite import Group

GROUP = Group("appliance", in_order=True)  # they share the image in the build folder

# Each file registers its tests; they run in this order.
from system.appliance import host, life, once, server, endure, keep  # noqa: E402,F401
