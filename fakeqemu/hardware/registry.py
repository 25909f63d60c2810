"""The register of everything that is in the machine, found by id or by path.

Knows how QEMU's object tree is walked. Must not know what a device does.
"""

from __future__ import annotations

from fakeqemu.hardware.objects import Object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["Registry", "registry_of"]


class Registry:
    """All objects of one machine.

    Attributes:
        objects: user objects (``-object``, ``object-add``) by id, in order.
        cpus: the CPUs that are plugged in, in order.
        on_plug: called with each device once it is there.
        on_unplug: called with each device once it has gone, before its event.
    """

    __slots__ = ("_devices", "cpus", "machine", "objects", "on_plug", "on_unplug")

    def __init__(self, machine: FakeQemu) -> None:
        self.machine = machine
        self.objects: dict[str, Object] = {}
        self.cpus: list[Object] = []
        self.on_plug: list[Callable[[Object], None]] = []
        self.on_unplug: list[Callable[[Object], None]] = []
        self._devices: list[Object] = []
        for device in machine.line.devices:
            place = f"/machine/peripheral/{device.id}" if device.id else "/machine/peripheral-anon"
            self._devices.append(Object(device.kind, device.id, place, None, device.options))

    def find(self, path: str) -> Object | None:
        """The object at an absolute path, or at the one partial path that ends so; None when there is none."""
        return next((device for device in self._devices if path in (device.path, device.id)), None)

    def device(self, ident: str) -> Object | None:
        """The device of that id."""
        return next((device for device in self._devices if device.id == ident), None)

    def devices(self) -> Iterable[Object]:
        """Every device that the user asked for, in the order in which they came."""
        return tuple(self._devices)

    def plug(self, kind: str, options: dict[str, Any], *, hotplugged: bool) -> Object:
        """Make a device.

        Args:
            kind: the ``driver``.
            options: everything else of ``device_add``, ``id`` and ``bus`` included.
            hotplugged: whether the machine has been started already.

        Raises:
            CommandError: QEMU would refuse it, in its words.
        """
        ident = options.get("id")
        place = f"/machine/peripheral/{ident}" if ident else "/machine/peripheral-anon"
        made = Object(kind, ident, place, None, {key: value for key, value in options.items() if key != "id"})
        made.hotplugged = hotplugged
        self._devices.append(made)
        for hear in self.on_plug:
            hear(made)
        return made

    def unplug(self, thing: Object) -> None:
        """Take a device out, with everything that sits on it; tells `on_unplug` and sends DEVICE_DELETED."""
        self._devices.remove(thing)
        for hear in self.on_unplug:
            hear(thing)

    def saved(self) -> Any:
        """What moves with the guest."""
        return {}

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Take over what came with the guest."""


def registry_of(machine: FakeQemu) -> Registry:
    """The machine's registry; made when first asked for."""
    found = machine.parts.get("hardware")
    if found is None:
        found = machine.parts["hardware"] = Registry(machine)
    registry: Registry = found
    return registry
