"""How soon does the fake listen, and how soon does it answer, beside a real QEMU started in turn with it?

Prints medians and the ratio fake / real of three moments after the spawn: the monitor socket can be connected
to; the greeting is there; the first command (qmp_capabilities) is answered. Both get the same command line.

    python benchmarks/fake_startup.py [--runs 30] [--typical] [--fake PROGRAM] [--qemu PROGRAM]

With ``--typical`` the command line is what libvirt 9.0.0 starts a usual guest with: some seventy options, a
disk, and a monitor socket that is inherited (so it can be connected to from the first moment).

Exit status 1 when the fake's first answer takes more than half of the real one's time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ARGV = ["-machine", "pc", "-accel", "tcg", "-S", "-display", "none"]
MOMENTS = ("listening", "greeting", "first answer")


def device(driver: str, identity: str, **options: object) -> list[str]:
    """A ``-device`` in JSON, as libvirt writes it."""
    return ["-device", json.dumps({"driver": driver, "id": identity, **options}, separators=(",", ":"))]


def typical(directory: str, monitor: int, agent: int) -> list[str]:
    """What libvirt 9.0.0 starts a usual guest with: q35, its ports, a disk, a network, VNC, an agent."""
    ports = []
    for at in range(14):
        place = f"0x{2 + at // 8}" + (f".0x{at % 8}" if at % 8 else "")
        first = {} if at % 8 else {"multifunction": True}
        ports += device(
            "pcie-root-port", f"pci.{at + 1}", port=16 + at, chassis=at + 1, bus="pcie.0", addr=place, **first
        )
    key = {"qom-type": "secret", "id": "masterKey0", "format": "raw", "file": f"{directory}/master-key.aes"}
    ram = {"qom-type": "memory-backend-ram", "id": "pc.ram", "size": 256 << 20}
    disk = {"driver": "file", "filename": f"{directory}/disk.qcow2", "node-name": "libvirt-1-storage",
            "auto-read-only": True, "discard": "unmap"}  # fmt: skip
    image = {"node-name": "libvirt-1-format", "read-only": False, "discard": "unmap", "driver": "qcow2",
             "file": "libvirt-1-storage", "backing": None}  # fmt: skip
    rng = {"qom-type": "rng-random", "id": "objrng0", "filename": "/dev/urandom"}
    return [
        "-name", "guest=typical,debug-threads=on", "-S", "-object", json.dumps(key),
        "-machine", "pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram", "-accel", "tcg",
        "-cpu", "qemu64", "-m", "256", "-object", json.dumps(ram), "-overcommit", "mem-lock=off",
        "-smp", "2,maxcpus=4,sockets=4,cores=1,threads=1", "-uuid", "59ea3abe-9476-424b-8669-bf5d453abc69",
        "-no-user-config", "-nodefaults",
        "-chardev", f"socket,id=charmonitor,fd={monitor},server=on,wait=off",
        "-mon", "chardev=charmonitor,id=monitor,mode=control", "-rtc", "base=utc", "-no-shutdown",
        "-boot", "strict=on", *ports,
        *device("qemu-xhci", "usb", bus="pci.3", addr="0x0"),
        *device("virtio-serial-pci", "virtio-serial0", bus="pci.2", addr="0x0"),
        "-blockdev", json.dumps(disk), "-blockdev", json.dumps(image),
        *device("virtio-blk-pci", "virtio-disk0", bus="pci.4", addr="0x0", drive="libvirt-1-format",
                bootindex=1),
        "-netdev", '{"type":"user","id":"hostnet0"}',
        *device("virtio-net-pci", "net0", netdev="hostnet0", mac="52:54:00:aa:bb:01", bus="pci.1",
                addr="0x0"),
        "-chardev", "pty,id=charserial0", *device("isa-serial", "serial0", chardev="charserial0", index=0),
        "-chardev", f"socket,id=charchannel0,fd={agent},server=on,wait=off",
        *device("virtserialport", "channel0", bus="virtio-serial0.0", nr=1, chardev="charchannel0",
                name="org.qemu.guest_agent.0"),
        *device("usb-tablet", "input0", bus="usb.0", port="1"),
        "-audiodev", '{"id":"audio1","driver":"none"}', "-vnc", f"unix:{directory}/vnc,audiodev=audio1",
        *device("virtio-vga", "video0", max_outputs=1, bus="pcie.0", addr="0x1"),
        *device("virtio-balloon-pci", "balloon0", bus="pci.5", addr="0x0"), "-object", json.dumps(rng),
        *device("virtio-rng-pci", "rng0", rng="objrng0", bus="pci.6", addr="0x0"),
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-msg", "timestamp=on",
    ]  # fmt: skip


def prepare(directory: str) -> None:
    """Make the files that the typical command line names."""
    Path(directory, "master-key.aes").write_bytes(bytes(32))
    image = [shutil.which("qemu-img") or "qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*image, f"{directory}/disk.qcow2", "100M"], check=True)


def listener(path: str) -> socket.socket:
    """A listening socket, to be inherited."""
    Path(path).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    sock.listen(1)
    return sock


def one_typical(program: list[str], path: str) -> list[float]:
    """Milliseconds to each moment of a start with the typical command line."""
    with listener(path) as monitor, listener(f"{path}.agent") as agent:
        fds = monitor.fileno(), agent.fileno()
        return one(program, path, typical(str(Path(path).parent), *fds), fds)


def one_plain(program: list[str], path: str) -> list[float]:
    """Milliseconds to each moment of a start with a short command line."""
    Path(path).unlink(missing_ok=True)
    return one(program, path, [*ARGV, "-qmp", f"unix:{path},server=on,wait=off"], ())


def one(program: list[str], path: str, argv: list[str], fds: tuple[int, ...]) -> list[float]:
    """Milliseconds from the spawn to each moment, of one start."""
    begun = time.perf_counter()
    with (
        subprocess.Popen(
            [*program, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=fds,
        ) as process,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client,
    ):
        moments = []
        while client.connect_ex(path):
            if process.poll() is not None:
                sys.exit(f"{program[0]} left with status {process.returncode}")
            time.sleep(0.0002)  # noqa: TID251 - this waits for a real process
        moments.append(time.perf_counter())
        client.recv(4096)
        moments.append(time.perf_counter())
        client.sendall(b'{"execute": "qmp_capabilities"}\n')
        answer = client.recv(4096)
        moments.append(time.perf_counter())
        if not answer:
            sys.exit(f"{program[0]} does not answer")
        client.sendall(b'{"execute": "quit"}\n')
        process.wait(10)
    return [(moment - begun) * 1000 for moment in moments]


def default_fake() -> list[str]:
    """The installed executable, or the package beside this file."""
    name = "fakeqemu-system-x86_64"
    for found in (Path(sys.prefix) / "bin" / name, shutil.which(name)):
        if found and os.access(found, os.X_OK):
            return [str(found)]
    boot = Path(__file__).resolve().parent.parent / "fakeqemu" / "boot.py"
    return [sys.executable, "-I", "-S", str(boot), "qemu-system-x86_64"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=30, help="starts of each (default 30)")
    parser.add_argument("--typical", action="store_true", help="libvirt's command line of a usual guest")
    parser.add_argument("--fake", help="the fake's program")
    parser.add_argument("--qemu", default=shutil.which("qemu-system-x86_64"), help="the real QEMU's program")
    options = parser.parse_args()
    if not options.qemu:
        sys.exit("no qemu-system-x86_64 here to compare with")
    programs = {"fake": [options.fake] if options.fake else default_fake(), "real": [options.qemu]}
    samples: dict[str, list[list[float]]] = {name: [] for name in programs}
    start = one_typical if options.typical else one_plain
    with tempfile.TemporaryDirectory(prefix="fakeqemu-") as directory:
        if options.typical:
            prepare(directory)
        for run in range(options.runs + 1):
            for name, program in programs.items():
                taken = start(program, f"{directory}/{name}.sock")
                if run:  # the first of each only warms the caches
                    samples[name].append(taken)
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in samples.items()
    }
    print(f"fake: {' '.join(programs['fake'])}\nreal: {options.qemu}")
    load = os.getloadavg()[0]
    print(f"medians of {options.runs} starts each, in turn; load {load:.1f} on {os.cpu_count()} cores\n")
    print(f"{'':14}{'fake ms':>9}{'real ms':>9}{'ratio':>8}")
    for index, moment in enumerate(MOMENTS):
        fake, real = medians["fake"][index], medians["real"][index]
        print(f"{moment:14}{fake:9.1f}{real:9.1f}{fake / real:8.2f}")
    return int(medians["fake"][2] > medians["real"][2] / 2)


if __name__ == "__main__":
    sys.exit(main())
