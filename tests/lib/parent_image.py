#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the parent's kernel and initial RAM disk for the test machines.

The kernel is Debian's own, never changed: the linux-image package of the same release as the
installed linux-headers-amd64, fetched by apt-get and kept in the build folder. The RAM disk holds
busybox, the kernel modules named in MODULES with what they depend on, tests/system/guest/init, and
the programs and modules that the build made for the guest.

    parent_image.py BUILD_FOLDER      makes BUILD_FOLDER/parent-image/{vmlinuz,initrd.img,release}
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
GUEST = TOP / "tests" / "system" / "guest"

# Stock drivers the tests use, in load order; dependencies come by themselves.
MODULES = """virtio_pci virtio_blk virtio_net nvme ahci sd_mod e1000e ext4 crc32c_generic
    msr""".split()

DIRECTORIES = "bin dev etc lib mnt proc root run sys tmp".split()


def run(*command, **options):
    """Runs a command; a failure ends the program with the command's own words."""
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"error: {command[0]} failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def kernel_release():
    """The kernel release that the installed headers are for, like 6.1.0-56-amd64."""
    depends = run("dpkg-query", "-W", "-f", "${Depends}", "linux-headers-amd64")
    match = re.search(r"linux-headers-(\S+)", depends)
    if not match:
        sys.exit(f"error: linux-headers-amd64 depends on no headers package: {depends!r}")
    return match.group(1)


def fetch_kernel(folder, release):
    """Unpacks linux-image-RELEASE under folder once; returns the unpacked tree."""
    tree = folder / f"linux-{release}"
    if (tree / "complete").exists():
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    download = folder / "download"
    shutil.rmtree(download, ignore_errors=True)
    download.mkdir(parents=True)
    package = f"linux-image-{release}"
    fetched = subprocess.run(["timeout", "300", "apt-get", "-qq", "download", package],
                             cwd=download, capture_output=True, text=True)
    packages = list(download.glob("*.deb"))
    if fetched.returncode != 0 or len(packages) != 1:
        sys.exit(f"error: apt-get download {package} failed: {fetched.stderr.strip()}\n"
                 "If the archive has moved on: apt-get update && apt-get install "
                 "linux-headers-amd64, then try again.")
    run("dpkg-deb", "-x", str(packages[0]), str(tree))
    run("depmod", "-b", str(tree), release)
    shutil.rmtree(download)
    (tree / "complete").touch()
    return tree


def module_files(modules_folder, names):
    """Files of the modules, each after those it depends on."""
    depends = {}
    for line in (modules_folder / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        depends[path] = needed.split()
    by_name = {Path(path).name.split(".")[0].replace("-", "_"): path for path in depends}
    ordered = []

    def add(path):
        for needed in depends[path]:
            add(needed)
        if path not in ordered:
            ordered.append(path)

    for name in names:
        if name in by_name:
            add(by_name[name])
        elif name not in builtin_names(modules_folder):
            sys.exit(f"error: this kernel has no module {name}")
    return [modules_folder / path for path in ordered]


def builtin_names(modules_folder):
    lines = (modules_folder / "modules.builtin").read_text().split()
    return {Path(line).stem.replace("-", "_") for line in lines}


def built_for_guest(build):
    """Programs, all static, and modules of the build that belong into the parent."""
    guest = build / "tests" / "system" / "guest"
    programs = [path for path in guest.glob("*") if path.is_file() and os.access(path, os.X_OK)
                and path.suffix == ""]
    programs.append(build / "parent" / "tools" / "bhstat-static")
    modules = [*guest.glob("*.ko"), build / "parent" / "driver" / "bulkhead.ko"]
    for path in programs + modules:
        if not path.exists():
            sys.exit(f"error: {path} is not built")
    return sorted(programs), sorted(modules)


def make_initrd(root, target):
    """Packs the tree; the same tree gives the same bytes."""
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    for name in names:
        os.utime(root / name, (0, 0), follow_symlinks=False)
    partial = target.with_suffix(".partial")
    with open(partial, "wb") as output:
        subprocess.run(["cpio", "--quiet", "--reproducible", "-0", "-o", "-H", "newc", "-R", "0:0"],
                       cwd=root, input="\0".join(names).encode(), stdout=output, check=True)
    partial.rename(target)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build = Path(sys.argv[1]).resolve()
    folder = build / "parent-image"
    folder.mkdir(parents=True, exist_ok=True)
    release = kernel_release()
    tree = fetch_kernel(folder, release)

    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True)
    shutil.copy2("/bin/busybox", root / "bin" / "busybox")
    shutil.copy2(GUEST / "init", root / "init")
    (root / "init").chmod(0o755)
    files = module_files(tree / "lib" / "modules" / release, MODULES)
    for file in files:
        shutil.copy2(file, root / "lib" / file.name)
    (root / "etc" / "modules").write_text("".join(f"/lib/{file.name}\n" for file in files))
    programs, modules = built_for_guest(build)
    for program in programs:
        shutil.copy2(program, root / "bin" / program.name.removesuffix("-static"))
    for module in modules:
        shutil.copy2(module, root / "lib" / module.name)

    make_initrd(root, folder / "initrd.img")
    shutil.copy2(tree / "boot" / f"vmlinuz-{release}", folder / "vmlinuz")
    (folder / "release").write_text(release + "\n")
    print(f"parent image: Linux {release}, {len(files)} stock modules, "
          f"{len(programs)} programs, {len(modules)} own modules")


if __name__ == "__main__":
    main()
