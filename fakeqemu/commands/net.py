"""Network interfaces."""

from __future__ import annotations

from fakeqemu.model import model_of
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.session import Session

__all__ = ["set_link"]


@command("set_link", takes=True)
def set_link(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Plug the cable in or pull it; by the id of the device or of its backend."""
    del session
    model, name = model_of(machine), arguments["name"]
    device = model.device(name)
    if name not in machine.line.netdevs and (device is None or "netdev" not in device.options):
        raise CommandError("DeviceNotFound", f"Device '{name}' not found")
    (model.links.discard if arguments["up"] else model.links.add)(name)
