# ruff: noqa: E501  (a command line is a line)
"""The same words about disks to the fake and to a real QEMU 7.2: the same words back, to the byte.

What may differ is in `tidy`: names that QEMU makes up by chance, and times. The files that the fake leaves are
judged by qemu-img and qemu-io.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import subprocess
from pathlib import Path

import pytest

from fakeqemu.block.images import create, looked_at, rewrite_backing, set_size
from tests.conformance.fakeqemu.block_talks import FILES, TALKS
from tests.helpers.processes import Client, Program, fake_argv, real_argv

pytestmark = pytest.mark.real_qemu

BASE = ["-accel", "tcg", "-S", "-display", "none"]
BOARD = {"drives": ["-machine", "pc", "-vga", "none", "-net", "none"]}
USUAL = ["-machine", "q35", "-nodefaults"]

#: Command and real QEMU's answer where the fake's may be another one, with the reason.
KNOWN = {
    # A shrunk image: QEMU gives the L2 table of what it discards a cluster of its own, and keeps it.
    "resizing": ("actual-size", "virtual-size", "wr_highest_offset"),
    # An internal snapshot makes the file as long as each of the two sees fit; and what is written takes blocks of
    # the host's disk when its file system says so.
    "snapshots": ("actual-size", "virtual-size"),
}


def tidy(line: bytes, loose: tuple[str, ...] = ()) -> str:
    text = line.decode()
    text = re.sub(r'"timestamp": \{[^}]*\}, ', "", text)
    text = re.sub(r"#block\d+", "#block", text)
    text = re.sub(r'"(idle_time_ns|date-sec|date-nsec)": \d+', r'"\1": 0', text)
    for name in loose:
        text = re.sub(rf'"{name}": \d+', f'"{name}": 0', text)
    return text


def held(argv: list[str], directory: Path, name: str) -> list[tuple[str, list[str]]]:
    """Each command with all that came until its reply."""
    directory.mkdir()
    for line in FILES:
        subprocess.run(["qemu-img", *line.split()], cwd=directory, check=True)
    more, commands = TALKS[name]
    path = directory / "monitor"
    words = [*BOARD.get(name, USUAL), *BASE, *more, "-qmp", f"unix:{path},server=on,wait=off"]
    program = Program([*argv, *words], directory)
    said = []
    with program, program.client(path) as client:
        client.negotiate()
        for command, arguments in commands:
            message = {"execute": command, "id": "x"}
            if arguments:
                message["arguments"] = arguments
            client.send(json.dumps(message).encode())
            heard: list[str] = []
            while not heard or '"id": "x"' not in heard[-1]:
                line = client.line()
                assert line, f"gone after {command} {arguments}"
                heard.append(tidy(line, KNOWN.get(name, ())))
            said.append((f"{command} {json.dumps(arguments)}", heard))
    return said


@pytest.mark.parametrize("name", sorted(TALKS))
def test_a_conversation_about_disks(tmp_path, name):
    real = held(real_argv(), tmp_path / "real", name)
    fake = held(fake_argv(), tmp_path / "fake", name)
    different = [
        f"{told[0]}\n  real {told[1]}\n  fake {said[1]}"
        for told, said in zip(real, fake, strict=True)
        if told != said
    ]
    assert not different, "\n".join(different)


#: Disks of a command line; QEMU refuses most of them.
STARTS = r"""
-blockdev driver=qcow2,node-name=q,file.driver=file,file.filename=r.img
-blockdev driver=file,node-name=f,filename=nope
-blockdev driver=file,node-name=f,filename=/dev/null
-blockdev driver=file,node-name=f,filename=/tmp
-blockdev driver=qcow2,node-name=q,file=nope
-blockdev driver=qcow2,node-name=q,file.driver=file,file.filename=broken.qcow2
-blockdev driver=file,node-name=f,filename=x.qcow2 -blockdev driver=qcow2,node-name=a,file=f -blockdev driver=qcow2,node-name=b,file=f
-blockdev driver=file,node-name=1f,filename=x.qcow2
-blockdev driver=file,filename=x.qcow2
-blockdev {"driver":"qcow2","node-name":"q","file":{"driver":"file","filename":"x.qcow2"}} -device virtio-blk-pci,drive=q -device virtio-blk-pci,drive=q
-drive file=x.qcow2,format=raw,if=none,id=a -drive file=x.qcow2,if=none,id=b
-drive file=nope.img,if=none,id=a
-drive file=r.img,format=qcow2,if=none,id=a
-drive file=r.img,format=nope,if=none,id=a
-drive file=broken.qcow2,if=none,id=a
-drive file=r.img,format=raw,if=nope
-drive file=r.img,format=raw,cache=nope,if=none
-drive file=r.img,format=raw,if=none,id=a,foo=1
-drive file=r.img,format=raw,if=none,id=a,werror=nope
-drive file=r.img,format=raw,if=none,id=a,bps=5,bps_rd=5
-drive file=r.img,format=raw,if=none,media=nope
-drive file=r.img,format=raw,if=none,index=1,bus=1
-drive file=r.img,format=raw,if=none,detect-zeroes=unmap
-drive file=r.img,format=raw,if=virtio,read-only=on,id=a
-drive file=r.img,format=raw,if=ide,read-only=on,id=a
-hda x.qcow2 -hdb y.qcow2 -drive file=z.qcow2,index=0
-drive if=none,id=a -device virtio-blk-pci,drive=a
-drive file=r.img,format=raw,if=none,id=a -device virtio-blk-pci,drive=a -device virtio-blk-pci,drive=a
-drive file=r.img,format=raw,if=virtio,id=a -device virtio-blk-pci,drive=a
-blockdev driver=raw,node-name=r,read-only=on,file.driver=file,file.filename=r.img -device ide-hd,drive=r
-blockdev driver=raw,node-name=r,read-only=on,file.driver=file,file.filename=r.img -device virtio-blk-pci,drive=r,id=x -qmp nope
-blockdev driver=throttle,node-name=t,file.driver=null-co,throttle-group=x
-blockdev driver=null-co,node-name=n,size=x
-blockdev driver=null-co,node-name=n,read-only=maybe
-blockdev driver=raw,node-name=r,file.driver=file,file.filename=r.img,size=1k
-blockdev driver=raw,node-name=r,file.driver=file,file.filename=r.img,size=1000
-blockdev driver=raw,node-name=r""".strip().splitlines()


def started(argv: list[str], directory: Path, option: str) -> object:
    """How a start ends; True when it goes on."""
    path = directory / "monitor"
    words = [*argv, "-machine", "pc", *BASE, "-nodefaults", *option.split(" ")]
    with Program([*words, "-qmp", f"unix:{path},server=on,wait=off"], directory) as program:
        while program.process.poll() is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            if sock.connect_ex(str(path)):
                sock.close()
                select.select([], [], [], 0.002)
                continue
            with Client(sock) as client, contextlib.suppress(AssertionError, TypeError):
                # The real one greets before it looks at its disks.
                client.negotiate()
                path.unlink()
                return True
            break
        path.unlink(missing_ok=True)
        return program.ended()


def test_a_start_with_disks_is_refused_in_the_same_words(tmp_path):
    for line in FILES:
        subprocess.run(["qemu-img", *line.split()], cwd=tmp_path, check=True)
    different = []
    for option in STARTS:
        real, fake = (started(argv, tmp_path, option) for argv in (real_argv(), fake_argv()))
        if real != fake:
            different.append(f"{option}\n  real {real}\n  fake {fake}")
    assert not different, "\n".join(different)


SHAPES = [
    {"size": 64 << 20}, {"size": 64 << 20, "backing-file": "base.qcow2", "backing-fmt": "qcow2"}, {"size": 0}, {"size": 512, "version": "v2"},
    {"size": 1 << 30, "cluster-size": 512}, {"size": 1 << 45, "cluster-size": 2 << 20}, {"size": 1 << 30, "refcount-bits": 1}, {"size": 1 << 30, "refcount-bits": 64, "cluster-size": 512},
    {"size": 1 << 33, "extended-l2": True, "lazy-refcounts": True}, {"size": 1 << 20, "compression-type": "zstd"}, {"size": 1 << 41},
]  # fmt: skip


class Disk:
    """A directory, as image files are written into it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, path: str, data: bytes, *, offset: int = 0, truncate: bool = False) -> None:
        with (self.directory / path).open("wb" if truncate else "r+b") as file:
            file.seek(offset)
            file.write(data)

    def read(self, path: str, offset: int, length: int) -> bytes:
        return (self.directory / path).read_bytes()[offset : offset + length]

    def resize(self, path: str, size: int) -> None:
        with (self.directory / path).open("ab") as file:
            file.truncate(size)

    def length(self, path: str) -> int:
        return (self.directory / path).stat().st_size


def judged(directory: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_image_is_what_qemu_img_calls_one(tmp_path, shape):
    judged(tmp_path, "qemu-img", "create", "-q", "-f", "qcow2", "base.qcow2", "64M")
    disk = Disk(tmp_path)
    create(disk, "qcow2", {"filename": "x.qcow2", **shape})
    judged(tmp_path, "qemu-img", "check", "x.qcow2")
    info = json.loads(judged(tmp_path, "qemu-img", "info", "--output=json", "x.qcow2"))
    assert info["virtual-size"] == shape["size"]
    assert info.get("backing-filename") == shape.get("backing-file")
    seen = looked_at(disk, "x.qcow2")
    assert (seen.size, seen.backing, seen.data) == (shape["size"], shape.get("backing-file"), 0)
    if shape["size"] >= 65536:
        judged(tmp_path, "qemu-io", "-c", "write 0 64k", "-c", "read 0 64k", "x.qcow2")
        judged(tmp_path, "qemu-img", "check", "x.qcow2")
        assert looked_at(disk, "x.qcow2").data >= 65536


@pytest.mark.parametrize("more", [[], ["-b", "base.qcow2", "-F", "qcow2"], ["-o", "compat=0.10"]], ids=str)
def test_an_image_has_the_bytes_of_qemu_img(tmp_path, more):
    judged(tmp_path, "qemu-img", "create", "-q", "-f", "qcow2", "base.qcow2", "64M")
    judged(tmp_path, "qemu-img", "create", "-q", "-f", "qcow2", *more, "real.qcow2", "64M")
    options = {"filename": "fake.qcow2", "size": 64 << 20}
    if "-b" in more:
        options |= {"backing-file": "base.qcow2", "backing-fmt": "qcow2"}
    if "-o" in more:
        options["version"] = "v2"
    create(Disk(tmp_path), "qcow2", options)
    assert (tmp_path / "fake.qcow2").read_bytes() == (tmp_path / "real.qcow2").read_bytes()


def test_an_image_grows_and_shrinks(tmp_path):
    disk = Disk(tmp_path)
    create(disk, "qcow2", {"filename": "x.qcow2", "size": 1 << 20})
    for size in (1 << 30, 1 << 40, 1 << 43, 1 << 20, 1 << 42):
        image = looked_at(disk, "x.qcow2")
        set_size(disk, "x.qcow2", image, size)
        judged(tmp_path, "qemu-img", "check", "x.qcow2")
        info = json.loads(judged(tmp_path, "qemu-img", "info", "--output=json", "x.qcow2"))
        assert info["virtual-size"] == size
    rewrite_backing(disk, "x.qcow2", looked_at(disk, "x.qcow2"), "under.qcow2", "qcow2")
    assert "under.qcow2" in judged(tmp_path, "qemu-img", "info", "-U", "x.qcow2")
    assert looked_at(disk, "x.qcow2").backing == "under.qcow2"
