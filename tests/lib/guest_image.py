#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the RAM disk of a parent that runs children: parent_image.py's, and behind it

    /bin              the worker, bhctl, and the libraries they need
    /guest            Debian's kernels, generic and cloud, the children's RAM disk, one with the
                      generic kernel's modules for VMBus devices, test kernels, the small guest of vsc/

    guest_image.py BUILD_FOLDER      makes BUILD_FOLDER/parent-image/children.img, and nbd.img,
                                     which has nbdkit and libnbd besides
"""

import shutil
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))

from lib import child_image  # noqa: E402
from lib.parent import Site  # noqa: E402
from lib.parent_image import (DIRECTORIES, GUEST, kernel_release, make_initrd,  # noqa: E402
                              module_files)

# What runs in a child, of the programs in tests/system/guest.
PROGRAMS = ("flow", "flush", "kexec", "marker", "pattern")


# The drivers of VMBus devices, in load order.
MODULES = "hv_vmbus sd_mod sr_mod ext4 crc32c_generic isofs hv_storvsc hv_netvsc hv_utils".split()
# What the parent needs for networks of its children.
NETWORK = "tun bridge".split()


def guest_initrd(site, name, modules=()):
    """A RAM disk for children: the parent's first process, modules, and a few programs."""
    root = site.image / f"{name}-root"
    shutil.rmtree(root, ignore_errors=True)
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True)
    shutil.copy2("/bin/busybox", root / "bin" / "busybox")
    shutil.copy2(GUEST / "init", root / "init")
    (root / "init").chmod(0o755)
    release = kernel_release()
    files = module_files(site.image / f"linux-{release}" / "lib" / "modules" / release, modules)
    for file in files:
        shutil.copy2(file, root / "lib" / file.name)
    (root / "etc" / "modules").write_text("".join(f"/lib/{file.name}\n" for file in files))
    for name in PROGRAMS:
        shutil.copy2(site.build / "tests" / "system" / "guest" / name, root / "bin" / name)
    make_initrd(root, site.image / f"{name}.img")
    return site.image / f"{name}.img"


def add_network(root, site):
    """Modules for taps and bridges, and a program that loads them."""
    release = kernel_release()
    files = module_files(site.image / f"linux-{release}" / "lib" / "modules" / release, NETWORK)
    for file in files:
        child_image.add_file(root, file, f"/lib/network/{file.name}")
    program = root / "bin" / "load-network"
    program.write_text("#!/bin/sh\n" + "".join(f"insmod /lib/network/{file.name}\n" for file in files))
    program.chmod(0o755)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build = Path(sys.argv[1]).resolve()
    site = Site(top=TOP, build=build, logs=None)

    def fill(root):
        child_image.add_ours(root, site)
        add_network(root, site)
        child_image.add_file(root, site.image / "vmlinuz", "/guest/generic")
        child_image.add_file(root, child_image.cloud_kernel(site), "/guest/cloud")
        child_image.add_file(root, guest_initrd(site, "guest"), "/guest/initrd.img")
        child_image.add_file(root, guest_initrd(site, "vmbus", MODULES), "/guest/vmbus.img")
        for kernel in (build / "tests" / "system" / "guest" / "kernel").glob("*.elf"):
            child_image.add_file(root, kernel, f"/guest/{kernel.stem}")
        child_image.add_file(root, build / "vsc" / "guest" / "vsc_guest", "/guest/small")

    def fill_with_nbd(root):
        fill(root)
        child_image.add_nbd(root)

    print(f"children images: {child_image.make(site, 'children', fill).name}, "
          f"{child_image.make(site, 'nbd', fill_with_nbd).name}")


if __name__ == "__main__":
    main()
