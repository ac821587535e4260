# SPDX-License-Identifier: MIT
"""The server guest of packaging/images: a whole Debian, with systemd, as a child.

Its root shell is the login shell of the serial console; there it is told to serve commands as
tests/system/guest/init does.
"""

import shlex
import subprocess

from lib.child import READY, Child, Guest
from lib.machine import Failure
from lib.parent import Disk, copy_sparse

PACKAGES = ("fio",)
BOOT_SECONDS = 600
OPTIONS = "root=LABEL=server console=ttyS0 quiet panic=-1"
SERVE = (f"stty raw -echo; echo; echo {READY.replace(':', chr(39) + ':' + chr(39))}; "
         "while read -r tag command; do sh -c \"$command\" </dev/null 2>&1; "
         "printf '\\n%s %d@\\n' \"$tag\" $?; done")

# An emulated machine on a busy computer is no reason to go on without the console's device.
PATIENCE = "[Manager]\nDefaultDeviceTimeoutSec=15min\nDefaultTimeoutStartSec=15min\n"


def add_patience(image):
    """Puts that into the image's systemd."""
    source = image.with_name("patience.conf")
    source.write_text(PATIENCE)
    target = "/etc/systemd/system.conf.d"
    subprocess.run(["/sbin/debugfs", "-w", "-f", "-", image.name], cwd=image.parent, text=True, check=True,
                   capture_output=True, input=f"mkdir {target}\ncd {target}\nwrite {source.name} {source.name}\n")
    source.unlink()


def make_image(site, path):
    """The machine's copy of the image, which is kept in the build folder until its packages or files change."""
    made = subprocess.run([str(site.top / "packaging/images/server"), str(site.build), *PACKAGES],
                          capture_output=True, text=True)
    if made.returncode != 0:
        raise Failure(made.stderr.strip())
    copy_sparse(site.build / "images" / "server.img", path)
    add_patience(path)


def disk(name):
    """The parent's disk that holds it."""
    return Disk(name, "virtio-blk-pci,drive={drive}", make=make_image)


def take_kernel(machine, device):
    """The image's kernel and RAM disk, for the worker, which boots them."""
    machine.ask(f"mkdir -p /debian /mnt && mount -t ext4 -o ro {device} /mnt && "
                "cp /mnt/vmlinuz /mnt/initrd.img /debian/ && umount /mnt", 120)


def guest(**wanted):
    return Guest(kernel="/debian/vmlinuz", initrd="/debian/initrd.img", options=OPTIONS, **wanted)


class Debian(Child):
    poll = 1  # it boots for a minute, and each look costs it time

    def wait_ready(self, seconds=BOOT_SECONDS):
        self.expect(r"root@\S+:~# ", seconds)
        self.machine.ask(f"echo {shlex.quote(SERVE)} >{self.files}/in")
        super().wait_ready(60)
