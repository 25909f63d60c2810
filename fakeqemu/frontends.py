"""What the machine has plugged into its character devices: consoles, agents, the monitor for people.

Knows which of them speaks to a client. Must not know what those say. Small: a machine with a terminal has
it on its start-up path.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.channel import Channel
    from fakeqemu.hardware import Object, Registry
    from fakeqemu.machine import FakeQemu

__all__ = ["attach", "pty_opened", "terminal", "watch"]


def attach(machine: FakeQemu, chardev: str, conn: int) -> Channel | None:
    """Who speaks to a client of a character device; None when nobody does."""
    if any(monitor.chardev == chardev and not monitor.control for monitor in machine.line.monitors):
        from fakeqemu.human.console import open_console

        return open_console(machine, chardev, conn)
    if "chardevs" not in machine.parts and machine.line.chardevs[chardev].backend != "socket":
        machine.parts.setdefault("terminals", {})[chardev] = (conn, "")
        return None
    from fakeqemu.chardevs import chardevs_of

    backend = chardevs_of(machine).find(chardev)
    if backend is not None:
        backend.conn = conn
    return backend


def pty_opened(machine: FakeQemu, chardev: str, conn: int, name: str) -> None:
    """A terminal is there for a character device; QEMU says where."""
    terminals: dict[str, tuple[int, str]] = machine.parts.setdefault("terminals", {})
    terminals[chardev] = (conn, name)
    known = machine.parts.get("chardevs")
    backend = known.find(chardev) if known is not None else None
    if backend is None or not backend.extra:
        from fakeqemu.actions import Stdout

        machine.do(0, Stdout(f"char device redirected to {name} (label {chardev})\n"))
    if any(monitor.chardev == chardev for monitor in machine.line.monitors):
        channel = attach(machine, chardev, conn)
        if channel is not None:
            channel.conn = conn
            machine.channels[conn] = channel
    elif backend is not None:
        backend.name, backend.conn = name, conn
        machine.channels[conn] = backend


def terminal(machine: FakeQemu, chardev: str) -> str:
    """The terminal of a pty character device; where none was opened, the one that could be."""
    terminals: dict[str, tuple[int, str]] = machine.parts.get("terminals") or {}
    if chardev in terminals:
        return terminals[chardev][1]
    names = [found.id for found in machine.line.chardevs.values() if found.backend == "pty"]
    return f"/dev/pts/{names.index(chardev) if chardev in names else len(names)}"


def watch(machine: FakeQemu, registry: Registry) -> None:
    """Tell the guest of ports and consoles that come and go."""

    def changed(thing: Object) -> None:
        if "chardev" in thing.options and machine.boot_done is not None:
            from fakeqemu.guests import guest_of

            machine.afterwards(guest_of(machine).plugged)

    registry.on_plug.append(changed)
    registry.on_unplug.append(changed)
