# SPDX-License-Identifier: MIT
"""packaging/try, as somebody runs it who has just got the sources and read docs/getting-started.md."""

import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

from system.appliance import GROUP
from system.parent.boot import expect

TRY_SECONDS = 1500  # compiling included
STEPS = ("configures the build", "builds hypervisor", "makes the appliance", "makes the demo guest",
         "hypervisor, parent and daemon start", "the guest boots to its shell", "its shell answers",
         "its web server answers")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"}


def copy_sources(site, folder):
    """What git knows of this tree, in a folder whose name has a space."""
    copy = folder / "a copy"
    copy.mkdir(exist_ok=True)
    names = subprocess.run(["git", "ls-files", "-z"], cwd=site.top, check=True,
                           capture_output=True).stdout
    with subprocess.Popen(["tar", "--null", "-T", "-", "-cf", "-"], cwd=site.top,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pack:
        unpack = subprocess.Popen(["tar", "-xf", "-"], cwd=copy, stdin=pack.stdout)
        pack.stdin.write(names)
        pack.stdin.close()
        expect(unpack.wait() == 0 and pack.wait() == 0, "the sources could not be copied")
    return copy


def occupy(port):
    """A listener on the port, or nothing where somebody listens already: both make it busy."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
    except OSError:
        pass
    return closing(listener)


def run_try(copy, *words, before=()):
    """before: the command that runs it, if any."""
    return subprocess.run([*before, "timeout", "--kill-after=30", str(TRY_SECONDS), "packaging/try", *words],
                          cwd=copy, capture_output=True, text=True, env=ENVIRONMENT)


# Runs what follows in a mount namespace whose /dev has what a program may count on, and no kvm.
WITHOUT_KVM = ("unshare", "--mount", "sh", "-euc", """
new=$(mktemp -d)
mount -t tmpfs -o mode=755 dev "$new"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty "$new"
ln -s /proc/self/fd "$new/fd"
mkdir -m 1777 "$new/shm"
mount --move "$new" /dev
rmdir "$new"
exec "$@"
""", "without-kvm")


def refused(ended, sentence):
    expect(ended.returncode != 0 and sentence in ended.stderr,
           f"status {ended.returncode}, not {sentence!r}: {ended.stderr[-400:]}")


@GROUP.test("try-refuses")
def _(site):
    """What it can not do is a sentence, and nothing is left behind."""
    copy = copy_sources(site, site.logs / "try-refuses")
    refused(run_try(copy, "--twice"), "unknown option --twice")
    refused(run_try(copy, "--stop"), "no machine of an earlier call is running")
    made = copy / "build-try"
    made.mkdir()
    with open(made / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(run_try(copy), "another packaging/try is at work")
    small = subprocess.run(["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=64m tmpfs build-try && "
                            "exec packaging/try"], cwd=copy, capture_output=True, text=True, env=ENVIRONMENT)
    refused(small, "MiB free; ")
    expect(sorted(path.name for path in made.iterdir()) == ["lock", "machine"], "it built something")
    fail(copy)


@GROUP.test("try-chooses-emulation", needs=())
def _(site):
    """KVM is used only where it is there, can be opened, and lets its guests use SVM."""
    function = re.search(r"^accelerator\(\) \{\n.*?^\}\n", (site.top / "packaging/try").read_text(), re.MULTILINE | re.DOTALL)
    machine = """
    echo "flags : fpu $1" >"$PWD/cpuinfo"
    mount --bind "$PWD/cpuinfo" /proc/cpuinfo
    mount -t tmpfs module /sys/module
    mkdir -p /sys/module/kvm_amd/parameters
    [ "$3" = - ] || echo "$3" >/sys/module/kvm_amd/parameters/nested
    case $2 in device) touch /dev/kvm ;; closed) mkdir /dev/kvm ;; esac
    """
    for flags, device, nested, chosen in (("svm", "device", "1", "kvm"), ("svm", "device", "Y", "kvm"),
                                          ("svm", "device", "0", "tcg"), ("svm", "device", "-", "tcg"),
                                          ("vmx", "device", "-", "tcg"), ("", "device", "1", "tcg"),
                                          ("svm", "closed", "1", "tcg"), ("svm", "none", "1", "tcg")):
        script = machine + function.group() + "accelerator\n"
        said = subprocess.run([*WITHOUT_KVM, "bash", "-euc", script, "bash", flags, device, nested], capture_output=True,
                              text=True, cwd=site.logs / "try-chooses-emulation", env=ENVIRONMENT)
        expect(said.stdout.split(",")[0].strip() == chosen,
               f"'{flags}' {device} {nested}: {said.stdout!r}, not {chosen}; {said.stderr[-200:]}")


def is_locked(path):
    """Each step of packaging/try holds its lock, too."""
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def break_off(copy, name, begun, end, *words):
    """Starts it, ends it as soon as begun() says so, and waits until no step that it started is left."""
    log = copy / f"{name}.log"
    with open(log, "wb") as output:
        running = subprocess.Popen(["packaging/try", *words], cwd=copy, stdout=output, stderr=output,
                                   env=ENVIRONMENT, start_new_session=True)
    try:
        while not begun():
            expect(running.poll() is None, "it ended by itself: " + log.read_text())
            time.sleep(0.05)
        end(running.pid)
        running.wait(30)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    until = time.monotonic() + 30
    while is_locked(copy / "build-try/lock"):
        expect(time.monotonic() < until, "what it started goes on")
        time.sleep(0.05)
    return running.returncode, log.read_text()


def interrupt(copy):
    """Ctrl-C while it configures: it ends at once, with a sentence, and with it what it started."""
    status, text = break_off(copy, "interrupted", lambda: list((copy / "build-try").glob("CMakeFiles")),
                             lambda pid: os.killpg(pid, signal.SIGINT))
    expect(status == 130 and "broken off" in text, f"status {status}: {text[-400:]}")


def kill(copy):
    """Killed half-way through the build: what it started ends, too, though nobody tells it to."""
    status, text = break_off(copy, "killed", lambda: any((copy / "build-try/hv").rglob("*.o")),
                             lambda pid: os.kill(pid, signal.SIGKILL))
    expect(status == -signal.SIGKILL and "builds hypervisor" in text, f"status {status}: {text[-400:]}")


def kill_machine(copy):
    """Killed when the machine of --once has just been started: that ends as well, and its data disk is not used again."""
    pid = copy / "build-try/machine/pid"
    status, text = break_off(copy, "killed-once", lambda: pid.exists() and pid.read_text().strip(),
                             lambda number: os.kill(number, signal.SIGKILL), "--once")
    expect(status == -signal.SIGKILL and "emulator: QEMU" in text, f"status {status}: {text[-400:]}")
    until = time.monotonic() + 30
    while Path(f"/proc/{pid.read_text().strip()}" if pid.exists() else "/none").exists():
        expect(time.monotonic() < until, "the machine goes on")
        time.sleep(0.05)


def fail(copy):
    """A step that fails is named, its last words are shown, and the status is not 0."""
    tools = copy / "tools"
    tools.mkdir()
    (tools / "cmake").write_text("#!/bin/sh\necho no such generator\nexit 3\n")
    (tools / "cmake").chmod(0o755)
    ended = subprocess.run(["packaging/try", "--once"], cwd=copy, capture_output=True, text=True, timeout=300,
                           env=ENVIRONMENT | {"PATH": f"{tools}:/usr/bin:/bin"})
    refused(ended, "no such generator\ntry: 'cmake -S . -B build-try")
    expect(re.search(r"^configures the build .* failed$", ended.stdout, re.MULTILINE), ended.stdout)


def first_output(copy, script):
    """What a command that does not end by itself says first; then it is ended."""
    running = subprocess.Popen(["bash", "-c", script], cwd=copy, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env=ENVIRONMENT, start_new_session=True)
    try:
        ready = select.select([running.stdout], [], [], 60)[0]
        return os.read(running.stdout.fileno(), 4096) if ready else b""
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def type_next(copy, printed):
    """Types what packaging/try says one can type next."""
    lines = re.findall(r"^    (\S.*)$", printed.split("What to type next")[1], re.MULTILINE)
    expect(len(lines) == 10 and lines[0].startswith("alias "), f"{lines}")
    for line in lines[1:]:
        script = f"shopt -s expand_aliases\n{lines[0]}\n{line}\n"
        if "follow=true" in line or line.startswith("tail -f"):
            expect(first_output(copy, script), f"{line}: no output")
            continue
        done = subprocess.run(["bash", "-c", script], cwd=copy, capture_output=True, text=True, timeout=300,
                              env=ENVIRONMENT)
        expect(done.returncode == 0 and not re.search(r'"status":[45]\d\d\b', done.stdout),
               f"{line}: {done.returncode} {done.stdout[-300:]} {done.stderr[-300:]}")


def products(copy):
    """All that was made for the machine, and when."""
    patterns = ("**/*.o", "**/*.ko", "appliance/*", "images/*", "mgmtd/bulkheadd")
    return {path: path.stat().st_mtime_ns for pattern in patterns for path in (copy / "build-try").glob(pattern)}


def stripped(path):
    """What the appliance takes of a program: nothing that has the names of folders."""
    with tempfile.NamedTemporaryFile() as short:
        subprocess.run(["strip", "--remove-section=.note.gnu.build-id", "-o", short.name, path], check=True)
        return short.read()


def compare_builds(site, copy):
    """Two builds of the same sources, in two folders, gave the same programs and the same driver."""
    driver = "parent/driver/bulkhead.ko"
    expect((copy / "build-try" / driver).read_bytes() == (site.build / driver).read_bytes(), f"{driver} is another one")
    for name in ("mgmtd/bulkheadd", "parent/worker/bulkhead-worker", "parent/tools/bulkhead-unpack", "parent/tools/bhctl",
                 "parent/tools/bhstat", "api/cli/bh"):
        expect(stripped(copy / "build-try" / name) == stripped(site.build / name), f"{name} is another one")


def judge_again(ended):
    """A second call boots the same host and the same VM once more, and makes nothing."""
    expect(ended.returncode == 0, f"the second call: {ended.returncode} {ended.stderr[-400:]}")
    for step in STEPS[1:4]:
        expect(re.search(rf"^{step}.* s, kept$", ended.stdout, re.MULTILINE), f"the second call did not keep '{step}'")
    expect("--json" not in ended.stdout, "the second call created something")
    expect("QEMU with -accel tcg" in ended.stdout, "it does not emulate")
    expect("start 2" in ended.stdout, "the VM's disk is not the one of before")


def judge_once(ended):
    """--once made every step, and shows what it must and no more."""
    expect(ended.returncode == 0, f"status {ended.returncode}: {ended.stderr[-400:]}")
    for step in STEPS:
        expect(re.search(rf"^{step}.*\d+ s(, kept)?$", ended.stdout, re.MULTILINE), f"no step '{step}'")
    expect(":8443/" not in ended.stdout, "the busy port was used")
    for shown in ("42 from demo", "Hello from a child partition", "bulkhead_vm_info{"):
        expect(shown in ended.stdout, f"{shown!r} is not shown")
    expect("\x1b" not in ended.stdout and "[6n" not in ended.stdout, "terminal escapes are shown")
    expect(not re.search(r"\bbh_[0-9a-f_]{20}", ended.stdout), "the token is shown")
    expect(ended.stdout.rstrip().endswith("every step worked"), "the last line is missing")


@GROUP.test("try-once")
def _(site):
    """Sources in a path with a space, a locale without UTF-8, port 8443 taken, broken off three times: a VM all the
    same, of the same bytes as in any other folder. A second call, without a /dev/kvm, makes nothing again, and what it
    says to type next can be typed."""
    folder = site.logs / "try-once"
    copy = copy_sources(site, folder)
    interrupt(copy)
    kill(copy)
    kill_machine(copy)
    with occupy(8443):
        ended = run_try(copy, "--once")
    (folder / "try.log").write_text(ended.stdout + ended.stderr)
    judge_once(ended)
    made = products(copy)
    compare_builds(site, copy)
    try:
        again = run_try(copy, before=WITHOUT_KVM)
        (folder / "try-again.log").write_text(again.stdout + again.stderr)
        judge_again(again)
        expect(made == products(copy), "the second call made things again")
        type_next(copy, again.stdout)
    finally:
        run_try(copy, "--stop")
