"""Anything may be written into qcow2 images, zeroed, and gone back to: QEMU reads what was written."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from fakeqemu.block.image import Snapshot
from fakeqemu.block.images import inside
from fakeqemu.block.images.disks import Place
from fakeqemu.block.images.mapping import Qcow2Disk
from fakeqemu.driver.realhost import RealHost

pytestmark = pytest.mark.real_qemu

SIZE = (3 << 20) + 1536
FORMS = (
    "cluster_size=512", "cluster_size=512,refcount_bits=64", "cluster_size=4k,refcount_bits=4",
    "cluster_size=64k", "cluster_size=64k,extended_l2=on", "cluster_size=16k,extended_l2=on",
    "cluster_size=2M", "compat=0.10,cluster_size=1k",
)  # fmt: skip


def tool(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", FORMS)
def test_any_order_of_writing(tmp_path: Path, form: str, seed: int) -> None:  # noqa: C901 - by deed
    chance = random.Random(f"{form}/{seed}")
    below = chance.randbytes(4096) * (SIZE // 4096 + 1)
    base, path, copy = (str(tmp_path / name) for name in ("base", "image", "copy"))
    Path(base).write_bytes(below[:SIZE])
    with_base = ["-b", base, "-F", "raw"] if seed else []
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-o", form, *with_base, path, str(SIZE))
    seen = bytearray(below[:SIZE]) if seed else bytearray(SIZE)
    disk = Qcow2Disk(Place(RealHost(), path))
    disk.bare = not seed
    lower = bytes(seen)

    def fill(offset: int, length: int) -> bytes:
        return lower[offset : offset + length]

    shots: dict[str, bytes] = {}
    for number in range(40):
        offset = chance.randrange(SIZE // 512) * 512
        length = min(chance.choice((512, 1024, 65536, 300_032)), SIZE - offset)
        deed = chance.random()
        if deed < 0.55:
            data = chance.randbytes(512) * (length // 512)
            disk.write(offset, data, fill)
            seen[offset : offset + length] = data
        elif deed < 0.8:
            disk.zero(offset, length, fill)
            seen[offset : offset + length] = bytes(length)
        elif deed < 0.9 and len(shots) < 2:
            inside.take(disk, Snapshot(str(number), f"s{number}", 0, 0, 5000), b"state" * 1000)
            shots[str(number)] = bytes(seen)
        elif shots:
            ident = chance.choice(sorted(shots))
            assert inside.state_of(disk, ident, 5000) == b"state" * 1000
            if deed < 0.95:
                inside.back(disk, ident)
                seen[:] = shots[ident]
            else:
                inside.forget(disk, ident)
                del shots[ident]
    for opened in (disk, Qcow2Disk(Place(RealHost(), path))):
        for offset in range(0, SIZE, 512):
            kind, stop = opened.status(offset, offset + 512)
            assert stop == offset + 512
            held = (fill(offset, 512), bytes(512), b"")[kind] if kind < 2 else opened.read(offset, 512)
            assert held == seen[offset : offset + 512]
    assert "No errors" in tool("qemu-img", "check", path)
    tool("qemu-img", "convert", "-O", "raw", path, copy)
    assert Path(copy).read_bytes() == seen
    listed = json.loads(tool("qemu-img", "info", "--output=json", path)).get("snapshots", [])
    assert {one["id"] for one in listed} == set(shots)
    for ident, was in shots.items():
        tool("qemu-img", "snapshot", "-a", ident, path)
        tool("qemu-img", "convert", "-O", "raw", path, copy)
        assert Path(copy).read_bytes() == was
    assert "No errors" in tool("qemu-img", "check", path)
