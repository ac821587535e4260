# SPDX-License-Identifier: MIT
"""What the parent must not see: IOMMUs, and sleep states from which the hypervisor does not return."""

from lib.parent import Disk, Plan
from system.parent import GROUP
from system.parent.boot import expect

KINDS = {"DMAR": "intel-iommu", "IVRS": "amd-iommu"}
DISK = Disk("vda", "virtio-blk-pci,drive={drive},disable-legacy=on,iommu_platform=on")


def check_hidden(scenario, table):
    @scenario.check("table")
    def _(machine):
        """The table is hidden before the kernel starts, so that the kernel drives no IOMMU."""
        expect(f"bulkhead: ACPI table {table} is hidden from the parent" in machine.log(),
               "the hypervisor did not say that it hid the table")
        said = machine.ask(f"dmesg | grep -c '{table}' || true")
        expect(said == "0", f"the kernel's log names {table} {said} times")

    @scenario.check("disk")
    def _(machine):
        """A device behind the IOMMU works as if there were none."""
        machine.ask("dd if=/dev/vda of=/dev/null bs=4k count=256 iflag=direct", 60)


for acpi_table, device in KINDS.items():
    check_hidden(GROUP.scenario(
        f"hidden-{acpi_table.lower()}",
        Plan(cpus=2, devices=("-device", f"{device},intremap=on"), disks=(DISK,)),
        needs=("hv",)), acpi_table)

sleep = GROUP.scenario("hidden-sleep", Plan(), needs=("hv",))


@sleep.check("states")
def _(machine):
    """The kernel knows of S0 and S5 only, and suspends to nothing but idle."""
    said = machine.ask("dmesg | grep 'ACPI: PM: (supports'")
    expect("(supports S0 S5)" in said, said)
    kinds = machine.ask("cat /sys/power/mem_sleep").strip()
    expect(kinds == "[s2idle]", f"it can sleep by {kinds}")
