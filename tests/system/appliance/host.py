# SPDX-License-Identifier: MIT
"""The appliance boots to an API, from each medium; what it does with disks it finds, and what it never does.

Building it and writing it to a stick is done by the blocks of docs/hardware.md.
"""

import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import urllib.request

from lib.documents import shell_block
from lib.machine import Machine
from lib.parent import CPU, OVMF_CODE, OVMF_VARS
from system.appliance import GROUP
from system.parent.boot import expect

READY = r"^bulkhead: health: ready$"
BOOT_SECONDS = 300
IMAGE_SECONDS = 600
MIB = 1 << 20


def run_documented(site, words, **changes):
    """Runs that block in the checkout, without sudo; changes: what stands for a word in it."""
    block = shell_block(site, "docs/hardware.md", words).replace("sudo ", "")
    for old, new in changes.values():
        expect(old in block, f"no {old!r} in {block!r}")
        block = block.replace(old, new)
    done = subprocess.run(["bash", "-euc", block], cwd=site.top, capture_output=True, text=True,
                          timeout=IMAGE_SECONDS)
    expect(done.returncode == 0, f"{block!r}: {done.stderr.strip()[-400:]}")


def make_appliance(site):
    """Builds image and ISO once a run; the packages are kept in the build folder."""
    if not site.made.get("appliance"):
        run_documented(site, "build --iso build")
        site.made["appliance"] = site.build / "appliance"
    return site.made["appliance"]


def kernel_arguments(site, folder):
    for name in ("bulkhead32.elf", "vmlinuz", "initrd.img"):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(make_appliance(site) / name)
    return ["-kernel", "bulkhead32.elf", "-append", "console=com1 loglevel=warning",
            "-initrd", "vmlinuz console=ttyS0 quiet panic=10,initrd.img"]


def stick_arguments(site, folder):
    """A USB stick, written as docs/hardware.md says."""
    make_appliance(site)
    run_documented(site, "dd if=", stick=("/dev/sdX", f"'{folder}/stick.img'"))
    return ["-drive", "file=stick.img,if=none,format=raw,id=stick", "-device", "qemu-xhci",
            "-device", "usb-storage,drive=stick,removable=on,bootindex=0"]


def disk_arguments(site, folder):
    """A disk on SATA with the same bytes."""
    shutil.copy(make_appliance(site) / "bulkhead.iso", folder / "boot.img")
    return ["-drive", "file=boot.img,if=none,format=raw,id=boot", "-device", "ide-hd,drive=boot,bootindex=0"]


def cdrom_arguments(site, folder):
    (folder / "cd.iso").symlink_to(make_appliance(site) / "bulkhead.iso")
    return ["-drive", "file=cd.iso,if=none,format=raw,media=cdrom,readonly=on,id=cd",
            "-device", "ide-cd,drive=cd,bootindex=0"]


def by_uefi(medium):
    """That medium in a UEFI machine; without it, the firmware is a BIOS."""
    def arguments(site, folder):
        shutil.copy(OVMF_VARS, folder / "vars.fd")
        return ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}",
                "-drive", "if=pflash,format=raw,unit=1,file=vars.fd", *medium(site, folder)]
    return arguments


def boot(site, folder, disks, network=True, medium=kernel_arguments, memory=2048, limit=600):
    """The appliance with raw disks of the folder; returns the machine before it is ready. memory: MiB;
    limit: seconds it may run."""
    arguments = ["-M", "q35", "-accel", "tcg,thread=single", "-cpu", CPU, "-smp", "2", "-m", str(memory),
                 *medium(site, folder)]
    for disk in disks:
        arguments += ["-drive", f"file={disk},if=virtio,format=raw"]
    if network:
        arguments += ["-nic", "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:0-:8443"]
    return Machine(folder, [*arguments, "-no-reboot"], limit)


def blank(folder, name, size=512 * MIB):
    with open(folder / name, "wb") as file:
        file.truncate(size)
    return name


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def power_off(machine):
    """As by the power button; the data disk must be unmounted before the end."""
    machine.qmp("system_powerdown")
    machine.wait_exit(90)
    expect("the data disk is unmounted" in machine.log(), "the data disk was not unmounted")


def reach(machine):
    """Where the API is, and its authority, which must be the one that the console shows."""
    text = machine.qmp("human-monitor-command", **{"command-line": "info usernet"})
    port = re.search(r"TCP\[HOST_FORWARD\]\s+\S+\s+127\.0\.0\.1\s+(\d+)", text).group(1)
    url = f"https://127.0.0.1:{port}"
    open_context = ssl._create_unverified_context()
    with urllib.request.urlopen(f"{url}/v1/ca", context=open_context, timeout=60) as answer:
        authority = json.load(answer)["items"][0]["certificate"]
    shown = re.findall(r"certificate authority sha256 ([0-9a-f]{64})", machine.log())[-1]
    found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(authority)).hexdigest()
    expect(found == shown, "the API's authority is not the one on the console")
    return url, authority


def api(machine, path, token=None, body=None):
    """GET from the appliance; POST when there is a body, and PUT when that is bytes."""
    url, authority = reach(machine)
    context = ssl.create_default_context(cadata=authority)
    request = urllib.request.Request(url + path)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    if isinstance(body, bytes):
        request.method = "PUT"
        request.data = body
    elif body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:
        return json.load(answer)


def first_token(machine):
    found = re.findall(r"\bbh_[0-9a-f_]+", machine.log())
    expect(len(found) == 1, f"{len(found)} tokens on the console")
    return found[0]


def import_image(machine, folder, token):
    """One that is not raw: the appliance has what converts it."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "small.qcow2", "1M"], cwd=folder, check=True)
    api(machine, "/v1/images", token, {"name": "small", "kind": "disk", "format": "qcow2"})
    api(machine, "/v1/images/small/content?wait=60", token, (folder / "small.qcow2").read_bytes())
    disk = api(machine, "/v1/disks?wait=60", token, {"name": "small", "image": "small"})
    expect(disk["size"] == MIB and disk["format"] == "raw", f"the disk is {disk}")


@GROUP.test("appliance-keeps-state")
def _(site):
    """A blank disk becomes the data disk; the next start finds keys, token and state on it. The
    first start is from a USB stick by BIOS, the second from a CD by UEFI. What the API has acknowledged is there after
    a loss of power, too."""
    folder = site.logs / "appliance-keeps-state"
    disk = blank(folder, "data.img")
    with boot(site, folder, [disk], medium=stick_arguments) as machine:
        machine.expect_log("makes the file system of the data disk on /dev/vda", BOOT_SECONDS)
        machine.expect_log(READY, BOOT_SECONDS)
        token = first_token(machine)
        host = api(machine, "/v1/hosts/self", token)
        expect(host["status"]["hypervisor"], f"the host names no hypervisor: {host['status']}")
        power_off(machine)
    expect(digest(folder / "stick.img") == digest(make_appliance(site) / "bulkhead.iso"),
           "the stick was written to")
    checked = subprocess.run(["/sbin/e2fsck", "-fn", str(folder / disk)], capture_output=True, text=True)
    expect(checked.returncode == 0, f"e2fsck: {checked.stdout[-300:]}")
    (folder / "com1.log").unlink()
    with boot(site, folder, [disk], medium=by_uefi(cdrom_arguments)) as machine:
        machine.expect_log(READY, BOOT_SECONDS)
        expect(not re.findall(r"\bbh_[0-9a-f_]+", machine.log()), "a second token was made")
        expect("makes the file system" not in machine.log(), "the data disk was made anew")
        api(machine, "/v1/vms", token)
        api(machine, "/v1/vms", token, {"name": "kept", "memory": {"size": 64 * MIB}})
    (folder / "com1.log").unlink()  # its end was a loss of power
    with boot(site, folder, [disk]) as machine:
        machine.expect_log(READY, BOOT_SECONDS)
        expect(api(machine, "/v1/vms/kept", token)["name"] == "kept", "the VM is another one")
        import_image(machine, folder, token)
        power_off(machine)


@GROUP.test("appliance-refuses-a-damaged-disk")
def _(site):
    """A data disk that e2fsck does not mend by itself is not mounted, the console says what to do, and the machine can be
    switched off. It starts from a CD by BIOS."""
    folder = site.logs / "appliance-refuses-a-damaged-disk"
    disk = blank(folder, "data.img")
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "-L", "BULKHEAD-DATA", disk], cwd=folder, check=True)
    table = subprocess.run(["/sbin/dumpe2fs", disk], cwd=folder, check=True, capture_output=True, text=True).stdout
    with open(folder / disk, "r+b") as file:
        file.seek(int(re.search(r"Inode table at (\d+)", table).group(1)) * 4096)
        file.write(b"\xa5" * 8192)
    with boot(site, folder, [disk], medium=cdrom_arguments) as machine:
        machine.expect_log("the data disk /dev/vda is not in order", BOOT_SECONDS)
        machine.expect_log("health: the daemon does not answer", BOOT_SECONDS)
        machine.qmp("system_powerdown")
        machine.wait_exit(90)
        expect("health: ready" not in machine.log(), "the daemon started without its disk")
    state = subprocess.run(["/sbin/dumpe2fs", "-h", disk], cwd=folder, check=True, capture_output=True, text=True).stdout
    expect(re.search(r"Last mount time: +n/a", state), "it was mounted")


@GROUP.test("appliance-is-reproducible", needs=())
def _(site):
    """Options reach the ISO; made again, in another time zone and with another umask, all is the same."""
    folder = make_appliance(site)
    first = {name: digest(folder / name) for name in ("initrd.img", "bulkhead.iso")}
    run_documented(site, "bulkhead.address=")
    grub = site.logs / "appliance-is-reproducible" / "grub.cfg"
    subprocess.run(["xorriso", "-osirrox", "on", "-indev", str(folder / "bulkhead.iso"), "-extract",
                    "/boot/grub/grub.cfg", str(grub)], check=True, capture_output=True)
    expect("bulkhead.address=192.0.2.5/24" in grub.read_text(), "the option is not in the ISO")
    again = subprocess.run(["packaging/appliance/build", "--force", "--iso", str(site.build)], cwd=site.top,
                           env={**os.environ, "TZ": "Asia/Tokyo"}, preexec_fn=lambda: os.umask(0o077),
                           capture_output=True, text=True, timeout=IMAGE_SECONDS)
    expect(again.returncode == 0, again.stderr.strip())
    for name, before in first.items():
        expect(digest(folder / name) == before, f"{name} is another one")


@GROUP.test("appliance-leaves-disks-alone")
def _(site):
    """Two blank disks: none is chosen. A disk that holds something is not even looked at twice, and the one that it starts
    from, here a SATA disk by UEFI, is not written to."""
    folder = site.logs / "appliance-leaves-disks-alone"
    disks = [blank(folder, "one.img"), blank(folder, "two.img"), blank(folder, "used.img")]
    with open(folder / "used.img", "r+b") as file:
        file.seek(4096)
        file.write(b"somebody's data")
    before = [digest(folder / disk) for disk in disks]
    with boot(site, folder, disks, network=False, medium=by_uefi(disk_arguments)) as machine:
        machine.expect_log("note: no data disk", BOOT_SECONDS)
        machine.expect_log("note: no network card", 10)
        machine.expect_log(READY, BOOT_SECONDS)
    expect([digest(folder / disk) for disk in disks] == before, "a disk was written to")
    expect(digest(folder / "boot.img") == digest(make_appliance(site) / "bulkhead.iso"), "its own disk was written to")
