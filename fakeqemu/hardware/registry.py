"""The register of everything that is in the machine, found by id or by path.

Knows in which order a machine is put together, and who hears of what comes and goes. Must not know what a
device does, nor which checks it must pass: see `fakeqemu.hardware.plug`.
"""

from __future__ import annotations

from fakeqemu.hardware.facts import facts_of
from fakeqemu.hardware.hashing import Table
from fakeqemu.hardware.objects import Object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from fakeqemu.hardware.buses import Bus
    from fakeqemu.hardware.facts import Facts
    from fakeqemu.machine import FakeQemu

__all__ = ["Registry", "registry_of"]


_parents: dict[str, dict[str, str | None]] = {}


class Registry:
    """All objects of one machine.

    Attributes:
        machine: whose they are.
        objects: user objects (``-object``, ``object-add``) by id, in order.
        cpus: the CPUs that are plugged in, in order of their indexes.
        changed: properties that were set, by (canonical path, name).
        on_plug: called with each device once it is there.
        on_unplug: called with each device once it has gone, before its event.
        buses_of: the buses that belong to a device, by its path.
    """

    __slots__ = (
        "_anonymous",
        "_board",
        "_by_path",
        "_devices",
        "_machine_kind",
        "_numbers",
        "_ran",
        "_since",
        "arch",
        "buses_of",
        "changed",
        "cpu_kind",
        "cpus",
        "facts",
        "family",
        "listed",
        "machine",
        "objects",
        "on_plug",
        "on_unplug",
        "root_bus",
    )  # fmt: skip

    def __init__(self, machine: FakeQemu) -> None:
        from fakeqemu.hardware import board, cpus

        self.machine = machine
        self.arch: str = machine.profile.facts["arch"]
        self.facts: Facts = facts_of(self.arch)
        self.family = board.family(machine.line.machine, self.arch)
        self.objects: dict[str, Object] = {}
        self.cpus: list[Object] = []
        self.changed: dict[tuple[str, str], Any] = {}
        self.on_plug: list[Callable[[Object], None]] = []
        self.on_unplug: list[Callable[[Object], None]] = []
        self.buses_of: dict[str, list[Bus]] = {}
        self._by_path: dict[str, Object] = {}
        self._devices: dict[Object, None] = {}
        self._numbers: dict[str, int] = {}
        self._anonymous = 0
        self._machine_kind: str | None = None
        self._board: Any = False
        #: Nanoseconds the guest has run, and since when it runs.
        self._ran, self._since = 0, machine.now_ns if machine.runstate == "running" else None
        #: Names of the children of the containers that change, in GLib's order.
        self.listed = {"peripheral": Table(), "peripheral-anon": Table(), "objects": Table()}
        self.root_bus = board.board_buses(self)
        for bus in self.root_bus.below:
            prefix = bus.name.rpartition(".")[0]
            if prefix:
                self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        self.cpu_kind = cpus.default_kind(self)
        cpus.build(self)
        self._begin()
        machine.watchers.append(self._state_changed)

    # -- what others ask ------------------------------------------------------------------------------------

    def find(self, path: str) -> Object | None:
        """The device, CPU or user object at a path, absolute or the end of one; None for what is none.

        Parts of the board and of devices are no objects of the register: `fakeqemu.hardware.tree` shows them.
        """
        from fakeqemu.hardware.tree import resolve

        if not path.startswith("/") and "/" not in path:
            plain = self.device(path) or self.objects.get(path)
            if plain is not None:
                return plain
        view, _ = resolve(self, path)
        if view is None:
            return None
        return self.at(view.path) or self.cpu_at(view.path) or self._user_object(view.path)

    def at(self, path: str) -> Object | None:
        """The device at a canonical path."""
        return self._by_path.get(path)

    def _user_object(self, path: str) -> Object | None:
        return self.objects.get(path.removeprefix("/objects/")) if path.startswith("/objects/") else None

    def device(self, ident: str) -> Object | None:
        """The device of that id."""
        return self._by_path.get(f"/machine/peripheral/{ident}")

    def devices(self) -> Iterable[Object]:
        """Every device that the user asked for, in the order in which they came."""
        return tuple(self._devices)

    def cpu_at(self, path: str) -> Object | None:
        """The CPU to which a canonical path belongs."""
        top = "/".join(path.split("/")[:4])
        return next((cpu for cpu in self.cpus if cpu.path == top), None)

    # -- coming and going -----------------------------------------------------------------------------------

    def plug(self, kind: str, options: dict[str, Any], *, hotplugged: bool) -> Object:
        """Make a device.

        Args:
            kind: the ``driver``.
            options: everything else of ``device_add``, ``id`` and ``bus`` included.
            hotplugged: whether the machine has been started already.

        Raises:
            CommandError: QEMU would refuse it, in its words.
        """
        from fakeqemu.hardware.plug import plug

        return plug(self, kind, options, hotplugged=hotplugged)

    def enter(self, thing: Object) -> None:
        """Take up a device that has been checked and placed."""
        self._devices[thing] = None
        self._by_path[thing.path] = thing
        if thing.room is not None:
            thing.room.devices.append(thing)
        if self.shapes(thing.kind):
            from fakeqemu.hardware.buses import made_by

            buses = made_by(self, thing)
            if buses:
                self.buses_of[thing.path] = buses
        for hear in tuple(self.on_plug):
            hear(thing)

    def leave(self, thing: Object) -> None:
        """Forget a device."""
        self.unname(thing.path)
        self._devices.pop(thing, None)
        self._by_path.pop(thing.path, None)
        self.buses_of.pop(thing.path, None)
        if thing.room is not None and thing in thing.room.devices:
            thing.room.devices.remove(thing)
        if thing in self.cpus:
            self.cpus.remove(thing)
        for key in [
            key for key in self.changed if key[0] == thing.path or key[0].startswith(thing.path + "/")
        ]:
            del self.changed[key]
        for hear in tuple(self.on_unplug):
            hear(thing)

    def path_for(self, ident: str | None) -> str:
        """The path of a device to come; it has its place among the names from here on (qdev_set_id)."""
        if ident is not None:
            self.listed["peripheral"].add(ident)
            return f"/machine/peripheral/{ident}"
        self._anonymous += 1
        name = f"device[{self._anonymous - 1}]"
        self.listed["peripheral-anon"].add(name)
        return f"/machine/peripheral-anon/{name}"

    def unname(self, path: str) -> None:
        """Give up the place of a device among the names."""
        _, _, where, name = path.split("/", 3)
        if where in self.listed:
            self.listed[where].remove(name)

    def reset(self) -> None:
        """The machine has been reset."""
        from fakeqemu.hardware.unplug import reset

        reset(self)

    def number_of(self, prefix: str) -> int:
        """The next number of a bus whose owner has no id."""
        number = self._numbers.get(prefix, 0)
        self._numbers[prefix] = number + 1
        return number

    # -- facts ----------------------------------------------------------------------------------------------

    @property
    def machine_kind(self) -> str:
        """QOM type of the machine; aliases mean the newest of their kind."""
        if self._machine_kind is None:
            name = self.machine.line.machine
            for entry in self.machine.profile.value("query-machines") or ():
                if entry.get("alias") == name:
                    name = entry["name"]
            self._machine_kind = f"{name}-machine"
        return self._machine_kind

    def board(self) -> Any:
        """The recorded facts of this board, or None."""
        if self._board is False:
            name = f"machine {self.family}"
            found = None
            if not {"-nodefaults", "--nodefaults"} & set(self.machine.argv):
                found = self.facts.get(f"{name} defaults")
            self._board = found or self.facts.get(name)
        return self._board

    @property
    def without_acpi(self) -> bool:
        """Whether nothing can be plugged through ACPI."""
        line = self.machine.line
        return "no-acpi" in self.machine.argv or line.machine_options.get("acpi") == "off"

    def shapes(self, kind: str) -> dict[str, Any]:
        """What an object of a kind is made of: relative path -> [type, entries]; empty when not recorded."""
        if kind.endswith("-cpu"):
            from fakeqemu.hardware.cpus import shapes

            return shapes(self.facts, kind)
        found = self.facts.get(f"device {kind}") or self.facts.get(f"object {kind}")
        return found["tree"] if found is not None else {}

    def parents(self) -> dict[str, str | None]:
        """The parent of each QOM type."""
        found: dict[str, str | None] | None = _parents.get(self.machine.profile.path)
        if found is None:
            types = self.machine.profile.value("qom-list-types", {"abstract": True}) or ()
            found = _parents[self.machine.profile.path] = {it["name"]: it.get("parent") for it in types}
        return found

    # -- time -----------------------------------------------------------------------------------------------

    def guest_ns(self) -> int:
        """How long the guest has run: QEMU's virtual clock."""
        since = self._since
        return self._ran + (self.machine.now_ns - since if since is not None else 0)

    def _state_changed(self, old: str, new: str) -> None:
        if new == "running":
            if self._since is None:
                self._since = self.machine.now_ns
            from fakeqemu.hardware.unplug import guest_runs

            guest_runs(self)
        elif old == "running" and self._since is not None:
            self._ran += self.machine.now_ns - self._since
            self._since = None

    # -- the start, and moving ------------------------------------------------------------------------------

    def _begin(self) -> None:
        from fakeqemu.hardware.plug import cold_plug
        from fakeqemu.hardware.userobjects import begin

        begin(self)
        for device in self.machine.line.devices:
            cold_plug(self, device.kind, device.id, device.options)

    def saved(self) -> Any:
        """What moves with the guest: the balloon. Devices are the business of the command line."""
        from fakeqemu.hardware.balloon import saved

        return {"balloon": saved(self)}

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Take over what came with the guest."""
        del machine
        from fakeqemu.hardware.balloon import restored

        if isinstance(value, dict):
            restored(self, value.get("balloon"))


def registry_of(machine: FakeQemu) -> Registry:
    """The machine's registry; made when first asked for."""
    found = machine.parts.get("hardware")
    if found is None:
        found = machine.parts["hardware"] = Registry(machine)
        from fakeqemu.frontends import watch

        watch(machine, found)
    registry: Registry = found
    return registry
