"""Character devices."""

from __future__ import annotations

from fakeqemu.glib import hash_order
from fakeqemu.registry import command
from fakeqemu.startup import pty_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.parts import Chardev
    from fakeqemu.session import Session

__all__ = ["query_chardev"]


@command("query-chardev")
def query_chardev(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The character devices: what is behind them, and whether the front end is open."""
    del session
    served = machine.served()
    # The list is built from its end, in the order of a hash table.
    listed = [(name, machine.line.chardevs[name]) for name in reversed(hash_order(machine.line.chardevs))]
    monitors = {monitor.chardev for monitor in machine.line.monitors}
    return [
        {
            "frontend-open": name in monitors or chardev.backend != "socket",
            "filename": _filename(machine, chardev, connected=name in served),
            "label": name,
        }
        for name, chardev in listed
    ]


def _filename(machine: FakeQemu, chardev: Chardev, *, connected: bool) -> str:
    if chardev.backend == "pty":
        return f"pty:{pty_name(machine, chardev.id)}"
    if chardev.backend != "socket":
        return chardev.backend
    if chardev.path is not None:
        name = f"unix:{chardev.path}" + (",server=on" if chardev.server else "")
    elif chardev.fd is not None:
        # A listener that was handed in is named by where it is bound; a fake sees only its number.
        name = "unix:,server=on" if chardev.server else f"fd:{chardev.fd}"
    else:
        name = f"tcp:{chardev.options.get('host', '')}:{chardev.options.get('port', '')}"
    return name if connected else f"disconnected:{name}"
