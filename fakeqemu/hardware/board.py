"""The board: what a machine type consists of before any ``-device``, as recorded with one CPU.

Knows how more CPUs move the numbers of the objects after them, and the buses of the board. Must not know the
devices on those buses that the user asked for.
"""

from __future__ import annotations

from fakeqemu.hardware.buses import BUS_KINDS, Bus, fits
from fakeqemu.hardware.hashing import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.registry import Registry
    from fakeqemu.hardware.tree import View

__all__ = ["board_buses", "board_tree", "board_view", "family", "place_of_cpu"]

_UNATTACHED = "/machine/unattached/device["
#: Names of buses by their place in the tree, where the two differ.
_NAMES = {"sysbus": "main-system-bus"}
#: Buses that are on another one, by architecture-independent type: the rest is on the system bus.
_UNDER_PCI = ("IDE", "ISA", "i2c-bus", "usb-bus", "SCSI", "floppy-bus")


def family(machine_type: str, arch: str) -> str:
    """The recorded machine type that stands for one: versions of a type differ in little."""
    if arch in ("x86_64", "i386"):
        if "q35" in machine_type:
            return "q35"
        return machine_type if machine_type in ("microvm", "isapc", "none") else "pc"
    for name in ("pseries", "s390-ccw-virtio", "virt"):
        if machine_type.startswith(name):
            return name
    return machine_type


def board_tree(registry: Registry) -> dict[str, Any]:
    """The recorded tree: path without its first slash -> [type, entries]."""
    return (registry.board() or {}).get("tree") or {}


def _first_other(registry: Registry) -> int:
    """Number of the recorded unattached device before which further CPUs come."""
    return 2 if registry.arch in ("x86_64", "i386", "ppc64") else 1


def _further(registry: Registry) -> int:
    """How many CPUs there are among the unattached objects that the recording does not have."""
    return 0 if registry.arch == "riscv64" else max(0, registry.machine.line.cpus - 1)


def place_of_cpu(registry: Registry, index: int) -> str:
    """Path of a CPU that was there from the start."""
    if registry.arch == "riscv64":
        return f"/machine/soc0/harts[{index}]"
    first = 1 if registry.arch == "ppc64" else 0
    return f"{_UNATTACHED}{first if index == 0 else index + _first_other(registry) - 1}]"


def _recorded(registry: Registry, path: str) -> str | None:
    """The recorded path that stands for one of this machine; None for a CPU's."""
    if not path.startswith(_UNATTACHED):
        return path
    number, bracket, rest = path[len(_UNATTACHED) :].partition("]")
    if not bracket or not number.isdigit():
        return path
    index, more, first = int(number), _further(registry), _first_other(registry)
    if first <= index < first + more:
        return None
    return f"{_UNATTACHED}{index - more if index >= first + more else index}]{rest}"


def moved(registry: Registry, value: Any) -> Any:
    """A recorded value in which a path may stand, with this machine's numbers."""
    more = _further(registry)
    if not more or type(value) is not str or not value.startswith(_UNATTACHED):
        return value
    number, _, rest = value[len(_UNATTACHED) :].partition("]")
    if not number.isdigit() or int(number) < _first_other(registry):
        return value
    return f"{_UNATTACHED}{int(number) + more}]{rest}"


def board_view(registry: Registry, path: str) -> View | None:
    """An object of the board, or None."""
    from fakeqemu.hardware.tree import View, part_of

    cpu = registry.cpu_at(path)
    if cpu is not None and registry.shapes(cpu.kind):
        return part_of(registry, cpu, path)
    recorded = _recorded(registry, path)
    found = board_tree(registry).get(recorded[1:]) if recorded is not None else None
    if found is None:
        if path in ("/machine", "/machine/unattached"):
            kind = registry.machine_kind if path == "/machine" else "container"
            return View(registry, path, kind, _bare(registry, path))
        return None
    kind, entries = found
    more = _further(registry)
    if path == "/machine":
        kind = registry.machine_kind
    elif path == "/machine/unattached" and more:
        entries = _numbered(registry, entries, more)
    return View(registry, path, kind, entries)


def _bare(registry: Registry, path: str) -> list[Any]:
    entries: list[Any] = [["type", "string"]]
    if path == "/machine":
        names = ("peripheral", "peripheral-anon", "unattached")
        entries += [[name, "child<container>"] for name in names]
    else:
        entries += [
            [cpu.path.rpartition("/")[2], f"child<{cpu.kind}>"]
            for cpu in registry.cpus
            if cpu.path.startswith(_UNATTACHED)
        ]
    return entries


def _numbered(registry: Registry, entries: list[Any], more: int) -> list[Any]:
    """The unattached objects of a machine with more CPUs than one."""
    kinds: dict[str, str] = {}
    first = _first_other(registry)
    for name, kind, *_ in entries:
        if name.startswith("device["):
            number = int(name[7:-1])
            kinds[f"device[{number + more if number >= first else number}]"] = kind
        else:
            kinds[name] = kind
    cpu_kind = f"child<{registry.cpus[0].kind if registry.cpus else registry.cpu_kind}>"
    for index in range(1, more + 1):
        kinds[f"device[{index + first - 1}]"] = cpu_kind
    kinds.pop("type", None)
    devices = sorted((name for name in kinds if name.startswith("device[")), key=lambda name: int(name[7:-1]))
    early = [name for name in ("sysbus", "io[0]", "system[0]") if name in kinds]
    others = [name for name in kinds if not name.startswith("device[") and name not in early]
    walked = list(Table(early + devices + others))
    return [["type", "string"], *([name, kinds[name]] for name in reversed(walked))]


#: Recorded path, type, name and whether it belongs below PCI, of the buses of each board.
_nodes: dict[tuple[str, str], list[tuple[str, str, str, bool]]] = {}
#: PCI functions of each board itself.
_functions: dict[tuple[str, str], dict[Any, tuple[str, str | None]]] = {}


def _board_key(registry: Registry) -> tuple[str, str]:
    """What machines of one board have in common."""
    functions = sum([len(bus["devices"]) for bus in (registry.board() or {}).get("pci") or ()])
    return registry.facts.path or "", f"{registry.family} {len(board_tree(registry))} {functions}"


def _bus_nodes(registry: Registry, key: tuple[str, str]) -> list[tuple[str, str, str, bool]]:
    """The board's buses as they were recorded; the same for all machines of a board."""
    found = _nodes.get(key)
    if found is None:
        found = _nodes[key] = [
            (path, kind, path.rpartition("/")[2], kind in _UNDER_PCI)
            for path, (kind, _) in board_tree(registry).items()
            if kind in BUS_KINDS and kind != "System" and not kind.startswith("virtio-")
        ]
    return found


def board_buses(registry: Registry) -> Bus:
    """The system bus, with the buses of the board below it."""
    root = Bus("main-system-bus", "System", "/machine/unattached/sysbus", None, hot=False)
    pci: Bus | None = None
    key = _board_key(registry)
    above: list[Bus] = []
    under: list[Bus] = []
    every = root.below
    for path, kind, name, below_pci in _bus_nodes(registry, key):
        place = moved(registry, f"/{path}")
        bus = Bus(_NAMES.get(name, name), kind, place, None, hot=_hot(registry, kind))
        if fits(kind, "PCI"):
            pci = bus
        every.append(bus)
        (under if below_pci else above).append(bus)
    if pci is not None:
        root.below, pci.below = above, under
        held = _functions.get(key)
        if held is None:
            held = _functions[key] = _held(registry)
        pci.held = held
    return root


def _hot(registry: Registry, kind: str) -> bool:
    if kind == "PCI":
        # Through ACPI on a PC, through the hypervisor on a pseries.
        return not registry.without_acpi
    return kind in ("usb-bus", "SCSI", "virtual-css-bus")


def _held(registry: Registry) -> dict[Any, tuple[str, str | None]]:
    """PCI functions of the board itself: place -> (model, id)."""
    models = _MODELS.get(registry.family, {})
    held: dict[Any, tuple[str, str | None]] = {}
    for bus in (registry.board() or {}).get("pci") or ():
        for function in bus["devices"]:
            devfn = function["slot"] << 3 | function["function"]
            held[devfn] = (models.get(devfn, "pci-device"), None)
    return held


#: What the functions of a board are called.
_MODELS: dict[str, dict[int, str]] = {
    "pc": {0: "i440FX", 8: "PIIX3", 9: "piix3-ide", 11: "PIIX4_PM", 16: "VGA", 24: "e1000"},
    "q35": {0: "mch", 8: "VGA", 16: "e1000e", 248: "ICH9-LPC", 250: "ich9-ahci", 251: "ICH9-SMB"},
    "virt": {0: "gpex-root", 8: "virtio-net-pci"},
}
