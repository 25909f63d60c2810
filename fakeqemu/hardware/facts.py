"""The file of recorded facts about machines, devices and CPUs: members packed one by one.

Knows the file's form. Must not know what the members mean. The form: a line of JSON, ``[dictionary, {name:
[offset, length]}]`` (offsets from the end of that line), then zlib streams that share the first one as their
dictionary; so one member is read without the others.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Facts", "facts_of", "pack", "reinserted"]

DIRECTORY = __file__.rpartition("/")[0] + "/facts"
_SHARED = 32768
_cache: dict[str, Facts] = {}


class Facts:
    """The facts of one architecture; shared by all machines of a process, parsed member by member.

    Args:
        path: the file; None when nothing is recorded.
        renamed: what names of members have at their end here, and in the file.
    """

    __slots__ = ("_base", "_found", "_index", "_renamed", "_shared", "path")

    def __init__(self, path: str | None, *, renamed: tuple[str, str] | None = None) -> None:
        self.path = path
        self._renamed = renamed
        self._index: dict[str, list[int]] | None = None
        self._base = 0
        self._shared = b""
        self._found: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        """A member, or None. It is shared: not to be changed."""
        if name in self._found:
            return self._found[name]
        value = self._read(name)
        self._found[name] = value
        return value

    def names(self) -> list[str]:
        """All members."""
        self._open()
        return list(self._index or ())

    def _open(self) -> None:
        if self._index is not None:
            return
        self._index = {}
        if self.path is None:
            return
        from zlib import decompress

        from fakeqemu.protocol.qjson import parse

        with open(self.path, "rb") as file:  # noqa: PTH123 - pathlib takes too long to import
            head = file.readline()
            self._base = len(head)
            length, packed = parse(head.decode("ascii").rstrip())
            index = parse(decompress(file.read(packed)).decode("ascii"))
            self._base += packed
            self._shared = decompress(file.read(length))
        self._index = index

    def _read(self, name: str) -> Any:
        self._open()
        if self._renamed is not None and name.endswith(self._renamed[0]):
            name = name.removesuffix(self._renamed[0]) + self._renamed[1]
        place = (self._index or {}).get(name)
        if place is None or self.path is None:
            return None
        from zlib import decompressobj

        from fakeqemu.protocol.qjson import parse

        with open(self.path, "rb") as file:  # noqa: PTH123
            file.seek(self._base + place[0])
            data = file.read(place[1])
        return parse(decompressobj(zdict=self._shared).decompress(data).decode("ascii"))


def facts_of(arch: str) -> Facts:
    """The shipped facts of an architecture; empty ones when none are shipped."""
    found = _cache.get(arch)
    if found is None and arch == "i386":
        # The boards and devices are the same; CPU models go by another name.
        found = _cache[arch] = Facts(facts_of("x86_64").path, renamed=("-i386-cpu", "-x86_64-cpu"))
    if found is None:
        from posix import listdir

        name = f"{arch}.facts"
        found = _cache[arch] = Facts(f"{DIRECTORY}/{name}" if name in listdir(DIRECTORY) else None)
    return found


def reinserted(value: Any) -> Any:
    """A recorded value so that it is written as it was: QEMU's dictionaries give the last that came first."""
    if type(value) is dict:
        return {key: reinserted(value[key]) for key in reversed(value)}
    if type(value) is list:
        return [reinserted(item) for item in value]
    return value


def pack(facts: dict[str, Any]) -> bytes:
    """The bytes of a file that holds these members; the same members give the same bytes."""
    import json
    from zlib import compress, compressobj

    texts = {name: json.dumps(value, separators=(",", ":")).encode("ascii") for name, value in facts.items()}
    typical = max((text for name, text in texts.items() if name.startswith("cpu ")), key=len, default=b"")
    shared = (
        b"".join(text for name, text in texts.items() if name.startswith("device virtio-"))[-20000:] + typical
    )[-_SHARED:]
    first = compress(shared, 9)
    index: dict[str, list[int]] = {}
    blobs, offset = [first], len(first)
    for name, text in texts.items():
        packer = compressobj(9, zdict=shared)
        blob = packer.compress(text) + packer.flush()
        index[name] = [offset, len(blob)]
        blobs.append(blob)
        offset += len(blob)
    table = compress(json.dumps(index, separators=(",", ":")).encode("ascii"), 9)
    head = json.dumps([len(first), len(table)]).encode("ascii") + b"\n"
    return head + table + b"".join(blobs)
