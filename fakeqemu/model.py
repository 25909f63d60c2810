"""What is inside the machine: CPUs, devices, objects, built from the command line when asked for.

Knows how QEMU 7.2 names and places what a command line creates. Must not know commands.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.argv import CommandLine
    from fakeqemu.machine import FakeQemu

__all__ = ["Model", "model_of"]


class Model:
    """The machine's insides. Holds only what differs from the command line.

    Attributes:
        actual: bytes of memory that the guest has, balloon considered.
        links: network interfaces whose link is down.
        set_properties: QOM properties that were set, by (path, name).
        throttle: limits of a disk by its device's id.
        capabilities: migration capabilities that were switched on.
        expiry: password expiry by protocol.
    """

    __slots__ = ("actual", "capabilities", "expiry", "line", "links", "set_properties", "throttle")

    def __init__(self, line: CommandLine) -> None:
        self.line = line
        self.actual = line.ram
        self.links: set[str] = set()
        self.set_properties: dict[tuple[str, str], Any] = {}
        self.throttle: dict[str, dict[str, int]] = {}
        self.capabilities: set[str] = set()
        self.expiry: dict[str, str] = {}

    @property
    def cpu_type(self) -> str:
        """The QOM type of the CPUs."""
        return f"{self.line.cpu or 'qemu64'}-{self.target}-cpu"

    @property
    def target(self) -> str:
        """The architecture."""
        return self.line.program.rpartition("-")[2]

    @property
    def cpus(self) -> int:
        """How many CPUs are plugged in; the empty machine has none."""
        return 0 if self.line.machine == "none" else self.line.cpus

    def cpu_path(self, index: int) -> str:
        """Where a CPU is: device[1] is the first one's interrupt controller."""
        return f"/machine/unattached/device[{index + 1 if index else 0}]"

    def cpu_props(self, index: int) -> dict[str, int]:
        """A CPU's place in the topology."""
        _, dies, cores, threads = self.line.topology
        thread, rest = index % threads, index // threads
        core, rest = rest % cores, rest // cores
        die, socket = rest % dies, rest // dies
        props = {"core-id": core, "thread-id": thread, "socket-id": socket}
        if dies > 1:
            props["die-id"] = die
        if self.line.slots:
            props["node-id"] = 0
        return props

    def device(self, name: str) -> Any:
        """A ``-device`` by its id, or None."""
        return next((device for device in self.line.devices if device.id == name), None)

    @property
    def balloon(self) -> Any:
        """The balloon device, or None."""
        return next(
            (device for device in self.line.devices if device.kind.startswith("virtio-balloon")), None
        )


def model_of(machine: FakeQemu) -> Model:
    """The machine's model; made when first asked for."""
    if machine.model is None:
        machine.model = Model(machine.line)
    return machine.model
