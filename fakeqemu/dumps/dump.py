"""One dump after the other: how far it is, and what it writes where.

Knows dump_init() and dump_process() of QEMU 7.2. Must not know the files' formats (`fakeqemu.dumps.elf`).
"""

from __future__ import annotations

from fakeqemu.actions import Adopt, Close, Drain, Send
from fakeqemu.channel import Channel
from fakeqemu.registry import CommandError, Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["NAMES", "Dump", "dump_of", "segments"]

SECOND = 1_000_000_000
#: Bytes of memory that are written each second.
RATE = 4 << 30
GIB = 1 << 30
#: Where main memory begins, by architecture, when not at 0.
_BASES = {"aarch64": 0x4000_0000, "riscv64": 0x8000_0000}
#: The names of the sections, the last bytes of a core file.
NAMES = b"\0.shstrtab\0"
_BIOS = (0xFFFC_0000, 0x4_0000)
#: Where firmware puts the video memory.
_VIDEO = 0xFD00_0000


def segments(machine: FakeQemu, begin: int = 0, length: int | None = None) -> list[tuple[int, int]]:
    """The pieces of guest-physical memory, or what of them lies in a window: address and size in bytes."""
    line = machine.line
    target = line.program.rpartition("-")[2]
    ram = line.ram
    if target in ("x86_64", "i386"):
        highest, split = (0xB000_0000, 2 * GIB) if "q35" in line.machine else (0xE000_0000, 3 * GIB)
        low = ram if ram <= highest else split
        video = _video(machine)
        found = [(0, 0xA0000 if video else 0xC0000), (0xC0000, 0x20000), (0xE0000, 0x20000)]
        found += [(0x100000, low - 0x100000), (_VIDEO, video), _BIOS]
        if ram > low:
            found.append((4 * GIB, ram - low))
    else:
        found = [(_BASES.get(target, 0), ram)]
    if length is None:
        return [one for one in found if one[1] > 0]
    end = begin + length
    cut = [(max(at, begin), min(at + size, end) - max(at, begin)) for at, size in found]
    return [one for one in cut if one[1] > 0]


def _video(machine: FakeQemu) -> int:
    """Bytes of video memory that firmware has mapped."""
    from fakeqemu.migration.part import migration_of

    if machine.boot_done is None:
        return 0
    blocks = migration_of(machine).memory.blocks()
    return sum(size for name, size in blocks if name.endswith("/vga.vram"))


class Dump:
    """The last dump of a machine, as query-dump tells it."""

    __slots__ = ("_began_ns", "_machine", "_resume", "error", "reply", "status", "took_ns", "total")

    def __init__(self, machine: FakeQemu) -> None:
        self._machine = machine
        self.status, self.total, self.took_ns = "none", 0, 1
        self.error: str | None = None
        self.reply: Deferred | None = None
        self._began_ns, self._resume = 0, False

    def value(self) -> dict[str, Any]:
        """The value of query-dump."""
        done = self.total if self.status == "completed" else 0
        if self.status == "active":
            passed = min(self._machine.now_ns - self._began_ns, self.took_ns)
            done = self.total * passed // self.took_ns // 4096 * 4096
        return {"status": self.status, "completed": done, "total": self.total}

    def begin(self, total: int) -> None:
        """Stop the guest and count."""
        machine = self._machine
        self._resume = machine.runstate == "running"
        if self._resume:
            from fakeqemu.runstate import stop

            stop(machine, "save-vm")
        self.status, self.total, self.error = "active", total, None
        self._began_ns, self.took_ns = machine.now_ns, max(1, total * SECOND // RATE)

    def to_file(self, path: str, data: bytes, size: int) -> None:
        """Write a file that is as long as the whole dump would be."""
        machine = self._machine
        reason = machine.host.write(path, data, truncate=True)
        if reason is None and size > len(data):
            reason = machine.host.resize(path, size) or machine.host.write(
                path, NAMES, offset=size - len(NAMES)
            )
        if reason is not None:
            self.end(f"dump: failed to save memory: {reason}")
        else:
            machine.later(self.took_ns, self.end)

    def to_descriptor(self, fd: int, data: bytes) -> None:
        """Write to a descriptor."""
        channel = _Output(self, data)
        self._machine.do(0, Adopt(self._machine.open_channel(channel), fd, reading=False))

    def end(self, error: str | None = None) -> None:
        """It is over: say so, let the guest run on, and answer whoever waits."""
        if self.status != "active":
            return
        machine = self._machine
        self.status = "completed" if error is None else "failed"
        self.error = error
        data: dict[str, Any] = {"result": self.value()}
        if error is not None:
            data["error"] = error
        machine.emit("DUMP_COMPLETED", data)
        reply, self.reply = self.reply, None
        if reply is None:
            # Nobody waits for a detached dump: where it fails at once, its thread still follows the reply.
            machine.afterwards(self._run_on)
            return
        self._run_on()
        if error is None:
            reply.resolve()
        else:
            reply.fail(CommandError("GenericError", error))

    def refuse(self) -> None:
        """It has failed before it began: no event tells of it (dump_init)."""
        self.status, self.total = "failed", 0
        self._run_on()

    def _run_on(self) -> None:
        if self._resume:
            from fakeqemu.runstate import resume

            resume(self._machine)


class _Output(Channel):
    """Where a dump goes."""

    __slots__ = ("_data", "_dump")

    def __init__(self, dump: Dump, data: bytes) -> None:
        super().__init__()
        self._dump, self._data = dump, data

    def opened(self, machine: FakeQemu, reason: str | None) -> None:
        if reason is not None:
            self._dump.end(f"dump: failed to save memory: {reason}")
            return
        machine.do(0, Send(self.conn, self._data + NAMES))
        machine.later(self._dump.took_ns, lambda: machine.do(0, Drain(self.conn)))

    def drained(self, machine: FakeQemu) -> None:
        machine.do(0, Close(self.conn))
        machine.channels.pop(self.conn, None)
        self._dump.end()

    def closed(self, machine: FakeQemu) -> None:
        del machine
        self._dump.end("dump: failed to save memory: Broken pipe")


def dump_of(machine: FakeQemu) -> Dump:
    """The last dump of a machine; made when first asked for."""
    found: Dump | None = machine.parts.get("dump")
    if found is None:
        found = machine.parts["dump"] = Dump(machine)
    return found
