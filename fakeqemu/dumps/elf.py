"""The head of a core file: ELF header, section, segments and notes, as QEMU 7.2 lays them out.

Knows ELF. Must not know where it goes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    Word: TypeAlias = Callable[[int, int], bytes]

__all__ = ["header", "kdump"]

#: The numbers of the architectures in an ELF header (e_machine); of x86 while it is not in long mode.
MACHINES = {"x86_64": 3, "i386": 3, "aarch64": 183, "arm": 40, "ppc64": 21, "s390x": 22, "riscv64": 243}
BIG_ENDIAN = frozenset({"s390x", "ppc64"})
_NOTE, _LOAD = 4, 1
#: Bytes of what the notes of one x86 CPU hold: its prstatus, and QEMU's own view of it.
_PRSTATUS, _QEMU = 0x90, 0x1B8
_EHDR, _SHDR, _PHDR = 64, 64, 56


def header(target: str, cpus: int, segments: Sequence[tuple[int, int]], *, sparse: bool) -> bytes:
    """Everything of the file before the memory.

    Args:
        target: the architecture.
        cpus: how many CPUs have notes.
        segments: address and size in bytes of each piece of memory.
        sparse: whether the memory follows in the file; else every segment is one that is all zeroes.
    """
    order = "big" if target in BIG_ENDIAN else "little"

    def word(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)  # type: ignore[arg-type]

    notes = b"".join(_notes(word, index) for index in range(cpus))
    programs = _EHDR + 2 * _SHDR
    first = programs + _PHDR * (1 + len(segments))
    offset = first + len(notes)
    names = offset + (sum(size for _, size in segments) if sparse else 0)
    # The size of the header is said to be 8: QEMU takes the size of a pointer for it.
    parts = [
        b"\x7fELF\x02" + (b"\x02" if order == "big" else b"\x01") + b"\x01" + bytes(9), word(4, 2),
        word(MACHINES.get(target, 0), 2), word(1, 4), word(0, 8), word(programs, 8), word(_EHDR, 8),
        word(0, 4), word(8, 2), word(_PHDR, 2), word(1 + len(segments), 2), word(_SHDR, 2), word(2, 2),
        word(1, 2), bytes(_SHDR), word(1, 4), word(3, 4), bytes(16), word(names, 8), word(11, 8), bytes(24),
        _segment(word, _NOTE, (first, 0), len(notes), len(notes)),
    ]  # fmt: skip
    for address, size in segments:
        parts.append(_segment(word, _LOAD, (offset, address), size if sparse else 0, size))
        offset += size if sparse else 0
    return b"".join(parts) + notes


def _segment(word: Word, kind: int, place: tuple[int, int], in_file: int, size: int) -> bytes:
    offset, address = place
    head = word(kind, 4) + bytes(4) + word(offset, 8)
    # Without paging the virtual addresses are the physical ones.
    return head + word(address, 8) * 2 + word(in_file, 8) + word(size, 8) + bytes(8)


def _notes(word: Word, index: int) -> bytes:
    status = bytes(24) + word(index + 1, 4)
    own = word(1, 4) + word(_QEMU, 4)
    return (
        word(5, 4) + word(_PRSTATUS, 4) + word(1, 4) + b"CORE\0\0\0\0" + bytes(status).ljust(_PRSTATUS, b"\0")
        + word(5, 4) + word(_QEMU, 4) + word(0, 4) + b"QEMU\0\0\0\0" + bytes(own).ljust(_QEMU, b"\0")
    )  # fmt: skip


def kdump(pages: int, cpus: int) -> bytes:
    """A compressed dump in makedumpfile's flat form that holds no page: its heads and the end."""
    flat = b"makedumpfile\0\0\0\0" + (1).to_bytes(8, "big") + (1).to_bytes(8, "big")
    disk = b"KDUMP   " + (6).to_bytes(4, "little") + bytes(390)
    disk = disk.ljust(416, b"\0") + b"".join(
        value.to_bytes(4, "little") for value in (1, 4096, 1, 0, min(pages, 0xFFFFFFFF), 0, 0, cpus)
    )
    chunk = (0).to_bytes(8, "big") + len(disk).to_bytes(8, "big") + disk
    end = b"\xff" * 16
    return flat.ljust(4096, b"\0") + chunk + end
