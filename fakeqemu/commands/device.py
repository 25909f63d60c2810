"""Devices that come and go, and the PCI functions among them."""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["device_add", "device_del", "query_pci"]


@command("device_add", takes=True, checked=False)
def device_add(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Plug a device in: everything but ``driver`` and ``bus`` is a property of its model."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.protocol.qjson import in_order

    options = dict(arguments)
    if "driver" not in options:
        raise CommandError("GenericError", "Parameter 'driver' is missing")
    kind = options.pop("driver")
    # Properties are set in the order in which QEMU walks the dictionary.
    ordered = {name: options[name] for name in in_order(tuple(options))}
    registry_of(machine).plug(str(kind), ordered, hotplugged=True)


@command("device_del", takes=True)
def device_del(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Ask the guest to give a device back; DEVICE_DELETED says when it has."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.unplug import request

    request(registry_of(machine), arguments["id"])


@command("query-pci")
def query_pci(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The PCI functions."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.pci import query

    return query(registry_of(machine))
