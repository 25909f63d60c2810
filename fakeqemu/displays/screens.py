"""Which graphics devices there are, with how many heads, and what was set on the display servers."""

from __future__ import annotations

from fakeqemu.displays.vnc import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["Displays", "Head", "displays_of", "option"]

_GRAPHICS = (
    "VGA", "bochs-display", "cirrus-vga", "isa-cirrus-vga", "isa-vga", "qxl", "qxl-vga", "ramfb",
    "secondary-vga", "virtio-gpu-device", "virtio-gpu-gl-pci", "virtio-gpu-pci", "virtio-gpu-ccw",
    "virtio-vga", "virtio-vga-gl", "vmware-svga", "vhost-user-gpu", "vhost-user-vga", "sm501", "ati-vga",
)  # fmt: skip
#: Machines that get a graphics device unless they are told not to.
_DEFAULT_GRAPHICS = ("pc", "q35", "microvm", "pseries")


class Head:
    """One screen: a device's, by its id (or None), and its number there."""

    __slots__ = ("device", "kind", "number")

    def __init__(self, kind: str, device: str | None, number: int) -> None:
        self.kind, self.device, self.number = kind, device, number


class Displays:
    """The displays of one machine.

    Attributes:
        vnc: the VNC servers in order.
        expiry: when a password ends, by protocol.
    """

    __slots__ = ("_machine", "expiry", "vnc")

    def __init__(self, machine: FakeQemu) -> None:
        self._machine = machine
        texts = machine.line.vnc or (["none"] if option(machine, "vnc") == "none" else [])
        self.vnc = [Server(text, machine.line.objects) for text in texts]
        self.expiry: dict[str, str] = {}

    def server(self, name: str | None) -> Server | None:
        """The VNC server of that id; the first one when none is named."""
        return next((server for server in self.vnc if name in (None, server.id)), None)

    def heads(self) -> list[Head]:
        """The screens, the first one's first."""
        machine = self._machine
        registry = machine.parts.get("hardware")
        found: list[Head] = []
        vga = option(machine, "vga")
        if vga not in (None, "none") or (vga is None and self._default()):
            found.append(Head(vga or "std", None, 0))
        for device in registry.devices() if registry is not None else machine.line.devices:
            if device.kind in _GRAPHICS:
                outputs = device.options.get("max_outputs", 1)
                number = int(outputs) if str(outputs).isdigit() else 1
                found += [Head(device.kind, device.id, index) for index in range(min(number, 16))]
        return found

    def _default(self) -> bool:
        line = self._machine.line
        if "-nodefaults" in self._machine.argv or "--nodefaults" in self._machine.argv:
            return False
        return any(name in line.machine for name in _DEFAULT_GRAPHICS) and not any(
            device.kind in _GRAPHICS for device in line.devices
        )

    def saved(self) -> Any:
        """What moves with the guest: nothing, display servers are the host's."""
        return None

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Nothing came with the guest."""


def option(machine: FakeQemu, name: str) -> str | None:
    """The value that an option was given last, as text; None when it was not."""
    argv = machine.argv
    for index in range(len(argv) - 2, 0, -1):
        if argv[index] in (f"-{name}", f"--{name}"):
            return argv[index + 1]
    return None


def displays_of(machine: FakeQemu) -> Displays:
    """The machine's displays; made when first asked for."""
    found = machine.parts.get("displays")
    if found is None:
        found = machine.parts["displays"] = Displays(machine)
    displays: Displays = found
    return displays
