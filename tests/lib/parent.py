# SPDX-License-Identifier: MIT
"""Boots the parent: with the hypervisor by each boot path, or bare, the same kernel without it.

A Plan says what machine is wanted; start() makes its folder, builds QEMU's arguments and starts it.
All file names on QEMU's command line are relative to the machine's folder, so that neither spaces
nor commas in the path of the checkout matter.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lib.machine import Failure, Machine

READY = r"^init: ready$"
BOOT_SECONDS = 240

PATHS = ("multiboot", "bios", "uefi")
OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
CPU = "max,-erms,-fsrm"  # docs/testbeds.md 1.1: a store for each byte is slow


@dataclass(frozen=True)
class Plan:
    """What machine to boot and how."""
    path: str = "multiboot"          # one of PATHS
    cpus: int = 1
    memory: int = 1024               # MiB
    cpu: str = CPU
    hv_options: str = "console=com1 loglevel=info"
    kernel_options: str = "console=ttyS0"
    devices: tuple = ()              # further QEMU arguments
    disks: tuple = ()                # Disk
    limit: int = 600                 # seconds the QEMU process may live
    modules: bool = True             # hand kernel and RAM disk to the hypervisor
    initrd: str = "initrd.img"
    vmlinuz: str = "vmlinuz"
    accelerator: str = "tcg,thread=single"


def copy_sparse(source, target):
    """Holes stay holes."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)


@dataclass(frozen=True)
class Disk:
    """A raw image with a file system, an empty one, or what `make` makes, and the QEMU device that shows it."""
    name: str                        # node name, image is NAME.img
    device: str                      # -device argument, {drive} stands for the drive's id
    size: int = 64                   # MiB
    filesystem: bool = True
    make: Callable = None            # of the site and the image's path; it may raise Failure

    def create(self, folder, site):
        image = folder / f"{self.name}.img"
        if self.make:
            self.make(site, image)
            return
        with open(image, "wb") as file:
            file.truncate(self.size << 20)
        if self.filesystem:
            subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", str(image)], check=True,
                           capture_output=True)

    def arguments(self):
        return ["-drive", f"file={self.name}.img,if=none,format=raw,id={self.name}",
                "-device", self.device.format(drive=self.name)]


@dataclass
class Site:
    """Where things are: folders of the build and of the logs, and the mode."""
    top: object
    build: object
    logs: object
    bare: bool = False
    made: dict = field(default_factory=dict)

    @property
    def image(self):
        return self.build / "parent-image"

    @property
    def elf32(self):
        return self.build / "hv" / "bulkhead32.elf"

    @property
    def elf64(self):
        return self.build / "hv" / "bulkhead.elf"

    def has_hypervisor(self):
        return self.elf32.exists() and self.elf64.exists()


def make_iso(site, folder, plan):
    """Makes the machine's ISO with packaging/iso/make-iso."""
    made = subprocess.run(
        [str(site.top / "packaging" / "iso" / "make-iso"), "--output", str(folder / "boot.iso"),
         "--hypervisor", str(site.elf64), "--hypervisor-options", plan.hv_options,
         "--kernel", str(folder / plan.vmlinuz), "--kernel-options", plan.kernel_options,
         "--initrd", str(folder / plan.initrd)], capture_output=True, text=True, timeout=120)
    if made.returncode != 0:
        raise Failure(f"make-iso: {made.stderr.strip()}")


def boot_arguments(site, folder, plan):
    """QEMU arguments that put hypervisor, kernel and RAM disk into the machine."""
    if site.bare:
        return ["-kernel", plan.vmlinuz, "-append", plan.kernel_options, "-initrd", plan.initrd]
    if plan.path == "multiboot":
        modules = f"{plan.vmlinuz} {plan.kernel_options}".replace(",", ",,") + f",{plan.initrd}"
        return ["-kernel", "bulkhead32.elf", "-append", plan.hv_options,
                *(["-initrd", modules] if plan.modules else [])]
    make_iso(site, folder, plan)
    arguments = ["-cdrom", "boot.iso", "-boot", "d"]
    if plan.path == "uefi":
        shutil.copy(OVMF_VARS, folder / "vars.fd")
        arguments += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}",
                      "-drive", "if=pflash,format=raw,unit=1,file=vars.fd"]
    return arguments


def prepare_folder(site, name, plan):
    """An empty folder for the machine, with links to what it boots and its disks."""
    folder = site.logs / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in (site.image / "vmlinuz", *site.image.glob("*.img"), site.elf32):
        (folder / source.name).symlink_to(source)
    for disk in plan.disks:
        disk.create(folder, site)
    return folder


def tidy_folder(folder, keep_logs):
    """After the machine: drop everything, or everything but the logs."""
    if not keep_logs:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.is_symlink() or path.suffix in (".img", ".iso", ".fd"):
            path.unlink()


def start(site, folder, plan, extra=()):
    """Starts the planned machine; returns it without waiting for anything."""
    arguments = ["-M", "q35", "-accel", plan.accelerator, "-cpu", plan.cpu,
                 "-smp", str(plan.cpus), "-m", str(plan.memory)]
    arguments += boot_arguments(site, folder, plan)
    for disk in plan.disks:
        arguments += disk.arguments()
    return Machine(folder, [*arguments, *plan.devices, *extra], plan.limit)


def wait_ready(machine, seconds=BOOT_SECONDS):
    """Waits for the parent's shell, also after a reboot."""
    machine.expect_log(READY, seconds)
    machine.shell_wire.pending = b""
    machine.ask("true", 30)
    machine.ask("dmesg -n 1")


def variant(plan, **changes):
    return replace(plan, **changes)
