# SPDX-License-Identifier: MIT
"""What runs children, as RAM disks to put behind the parent's: the kernel unpacks one after the other.

Programs are those of the build or of Debian, each with the libraries that ldd names, in the places
where the dynamic linker looks for them.
"""

import re
import shutil
from pathlib import Path

from lib.parent_image import fetch_kernel, make_initrd, module_files, run

FIRMWARE = ("/usr/share/qemu", "/usr/share/seabios")
FIRMWARE_FILES = "bios-256k.bin kvmvapic.bin linuxboot_dma.bin multiboot_dma.bin".split()


def libraries_of(program):
    """Absolute paths of the shared libraries, the dynamic linker among them."""
    return re.findall(r"(/\S+) \(0x", run("ldd", str(program)))


def add_file(root, source, target):
    """Copies a file to the absolute path `target` under root."""
    place = root / str(target).lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, place)


def add_program(root, program):
    add_file(root, program, f"/bin/{Path(program).name}")
    for library in libraries_of(program):
        add_file(root, library, library)


def cloud_kernel(site):
    """Debian's kernel for virtual machines, of the parent's release."""
    release = (site.image / "release").read_text().strip().replace("-amd64", "-cloud-amd64")
    return fetch_kernel(site.image, release) / "boot" / f"vmlinuz-{release}"


def add_peer(root, site):
    """KVM for AMD and QEMU, as Debian has them."""
    release = (site.image / "release").read_text().strip()
    modules = site.image / f"linux-{release}" / "lib" / "modules" / release
    files = module_files(modules, ["kvm_amd"])
    for file in files:
        add_file(root, file, f"/lib/kvm/{file.name}")
    add_file(root, shutil.which("qemu-system-x86_64"), "/bin/qemu-system-x86_64")
    add_program(root, shutil.which("qemu-system-x86_64"))
    for name in FIRMWARE_FILES:
        found = [Path(folder) / name for folder in FIRMWARE if (Path(folder) / name).exists()]
        add_file(root, found[0], f"/usr/share/qemu/{name}")
    return [file.name for file in files]


def add_ours(root, site):
    parent = site.build / "parent"
    add_program(root, parent / "worker" / "bulkhead-worker")
    add_program(root, parent / "tools" / "bhctl")
    add_program(root, parent / "tools" / "bulkhead-unpack")
    (root / "var" / "cache").mkdir(parents=True, exist_ok=True)


def add_nbd(root):
    """libnbd, which the worker loads when it needs it, nbdkit with files as disks, and QEMU's server of qcow2."""
    libraries = Path("/usr/lib/x86_64-linux-gnu")
    library = libraries / "libnbd.so.0"
    add_file(root, library, library)
    for needed in libraries_of(library):
        add_file(root, needed, needed)
    add_program(root, shutil.which("nbdkit"))
    plugin = libraries / "nbdkit" / "plugins" / "nbdkit-file-plugin.so"
    add_file(root, plugin, plugin)
    for program in ("/usr/bin/qemu-nbd", "/usr/bin/qemu-img"):
        add_program(root, program)
        add_file(root, program, program)


def make(site, name, fill):
    """Writes NAME.img in the image folder: the parent's RAM disk and one with what fill(root) puts there."""
    root = site.image / f"{name}-root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    fill(root)
    added = site.image / f"{name}-added.img"
    make_initrd(root, added)
    target = site.image / f"{name}.img"
    target.write_bytes((site.image / "initrd.img").read_bytes() + added.read_bytes())
    added.unlink()
    return target


def small_initrd(site, name, init):
    """A RAM disk with one program, its first process."""
    root = site.image / f"{name}-root"
    shutil.rmtree(root, ignore_errors=True)
    (root / "dev").mkdir(parents=True)
    shutil.copy2(init, root / "init")
    make_initrd(root, site.image / f"{name}.img")
    return site.image / f"{name}.img"
