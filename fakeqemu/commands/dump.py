"""Guest memory into files: dump-guest-memory, and pieces of it with memsave and pmemsave."""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session
    from fakeqemu.registry import Deferred

__all__ = ["dump_guest_memory", "memsave", "pmemsave", "query_dump"]

#: Nothing longer is written byte by byte.
_PIECE = 1 << 20


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


@command("query-dump")
def query_dump(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """How far the last dump is."""
    del session
    if "dump" not in machine.parts:
        return {"status": "none", "completed": 0, "total": 0}
    from fakeqemu.dumps.dump import dump_of

    return dump_of(machine).value()


@command("dump-guest-memory", takes=True)
def dump_guest_memory(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Deferred | None:
    """Write all of the guest's memory down; the reply waits for the end unless detached."""
    from fakeqemu.dumps.dump import NAMES, dump_of, segments
    from fakeqemu.dumps.elf import header, kdump
    from fakeqemu.registry import Deferred

    dump = dump_of(machine)
    layout, fd, path = _asked(machine, session, arguments)
    pieces = segments(machine, arguments.get("begin", 0), arguments.get("length"))
    total = sum(size for _, size in pieces)
    line = machine.line
    dump.begin(total)
    if not pieces:
        dump.refuse()
        _close(machine, fd)
        raise _error("dump: no guest memory to dump")
    reply = None
    if not arguments.get("detach"):
        reply = dump.reply = Deferred()
    if layout == "win-dmp":
        _close(machine, fd)
        dump.end("win-dump: invalid vmcoreinfo note size")
        return reply
    if layout != "elf":
        data, size = kdump(total // 4096, line.cpus), 0
    else:
        data = header(line.program.rpartition("-")[2], line.cpus, pieces, sparse=fd is None)
        size = len(data) + total + len(NAMES)
    if fd is not None:
        dump.to_descriptor(fd, data)
    else:
        dump.to_file(path, data, size)
    return reply


def _close(machine: FakeQemu, fd: int | None) -> None:
    """Give up a descriptor to which nothing is written: whoever reads it sees the end (dump_cleanup)."""
    if fd is not None:
        from fakeqemu.actions import CloseFd

        machine.do(0, CloseFd(fd))


def _asked(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> tuple[str, int | None, str]:
    """Format, descriptor and path, checked in QEMU's order (qmp_dump_guest_memory)."""
    from fakeqemu.dumps.dump import dump_of

    layout = str(arguments.get("format", "elf"))
    window = {"begin", "length"} & arguments.keys()
    if machine.runstate == "inmigrate":
        raise _error("Dump not allowed during incoming migration.")
    if dump_of(machine).status == "active":
        raise _error("There is a dump in process, please wait.")
    if layout != "elf" and (arguments["paging"] or window):
        raise _error("kdump-compressed format doesn't support paging or filter")
    if window == {"begin"}:
        raise _error("Parameter 'length' is missing")
    if window == {"length"}:
        raise _error("Parameter 'begin' is missing")
    if layout in ("kdump-lzo", "kdump-snappy"):
        raise _error(f"{layout} is not available now")
    protocol: str = arguments["protocol"]
    kind, _, rest = protocol.partition(":")
    if not protocol.startswith(("fd:", "file:")):
        raise _error("Invalid parameter 'protocol'")
    if kind == "fd":
        from fakeqemu.descriptors import descriptors_of

        return layout, descriptors_of(machine).take(session, rest), ""
    reason = machine.host.write(rest, b"", truncate=True) if rest else "No such file or directory"
    if reason is not None:
        raise _error(f"Could not open '{rest}': {reason}")
    return layout, None, rest


@command("memsave", takes=True)
def memsave(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """A piece of the memory that a CPU sees: zeroes."""
    del session
    if not 0 <= arguments.get("cpu-index", 0) < machine.line.cpus:
        raise _error("Parameter 'cpu-index' expects a CPU number")
    if arguments["val"] >> 48 not in (0, 0xFFFF):
        raise _error(f"Invalid addr 0x{arguments['val']:016x}/size {arguments['size']} specified")
    _piece(machine, arguments)


@command("pmemsave", takes=True)
def pmemsave(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """A piece of guest-physical memory: zeroes."""
    del session
    _piece(machine, arguments)


def _piece(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    path, size = arguments["filename"], arguments["size"]
    reason = machine.host.write(path, bytes(max(0, min(size, _PIECE))), truncate=True)
    if reason is None and size > _PIECE:
        reason = machine.host.resize(path, size)
    if reason is not None:
        raise _error(f"Could not open '{path}': {reason}")
