# SPDX-License-Identifier: MIT
"""The life of a VM through the API with plain curl, where the VM is a child of the hypervisor."""

import subprocess

from system.appliance import GROUP
from system.appliance.host import BOOT_SECONDS, READY, blank, boot, first_token, make_appliance, power_off, reach
from system.parent.boot import expect

LIFE_SECONDS = 600
COMMAND_LINE = "console=ttyS0 quiet pci=noearly"


def make_guest(site):
    made = subprocess.run([str(site.top / "packaging/images/demo"), str(site.build)], capture_output=True, text=True,
                          timeout=120)
    expect(made.returncode == 0, made.stderr.strip())
    return [str(site.build / "images" / name) for name in ("demo-vmlinuz", "demo-initrd.img")]


@GROUP.test("appliance-life")
def _(site):
    """tests/api/life.sh, which runs against a simulated worker too, against a real child."""
    folder = site.logs / "appliance-life"
    make_appliance(site)  # which the guest's kernel and modules come from
    kernel, initrd = make_guest(site)
    with boot(site, folder, [blank(folder, "data.img")]) as machine:
        machine.expect_log(READY, BOOT_SECONDS)
        url, authority = reach(machine)
        (folder / "ca.crt").write_text(authority)
        (folder / "token").write_text(first_token(machine))
        ended = subprocess.run([str(site.top / "tests/api/life.sh"), url, str(folder / "ca.crt"), str(folder / "token"),
                                kernel, initrd, COMMAND_LINE, "demo: ready"],
                               capture_output=True, text=True, timeout=LIFE_SECONDS)
        (folder / "life.log").write_text(ended.stdout + ended.stderr)
        expect(ended.returncode == 0, f"life.sh: {ended.stderr[-600:]}")
        power_off(machine)
