"""A device comes: the order of QEMU's checks, and their words.

Knows qdev_device_add_from_qdict of QEMU 7.2 (softmmu/qdev-monitor.c): model, bus, hotplug, id, properties,
place, the model's own demands. Must not know commands. Who hears of a new device (`Registry.on_plug`) may
still refuse it with a CommandError; it is then taken back.
"""

from __future__ import annotations

from fakeqemu.hardware.objects import Object
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.buses import Bus
    from fakeqemu.hardware.registry import Registry

__all__ = ["ALIASES", "class_of", "cold_plug", "plug"]

#: Short names of device models (softmmu/qdev-monitor.c, qdev_alias_table), for PCI machines.
ALIASES = {
    "AC97": "AC97", "ac97": "AC97", "ahci": "ich9-ahci", "e1000": "e1000", "e1000-82540em": "e1000",
    "ES1370": "ES1370", "es1370": "ES1370", "intel-hda": "intel-hda", "kvm-pci-assign": "kvm-pci-assign",
    "lsi": "lsi53c895a", "pci-ohci": "pci-ohci", "virtio-9p": "virtio-9p-pci",
    "virtio-balloon": "virtio-balloon-pci",
    "virtio-blk": "virtio-blk-pci", "virtio-gpu": "virtio-gpu-pci", "virtio-gpu-gl": "virtio-gpu-gl-pci",
    "virtio-input-host": "virtio-input-host-pci", "virtio-iommu": "virtio-iommu-pci",
    "virtio-keyboard": "virtio-keyboard-pci", "virtio-mouse": "virtio-mouse-pci",
    "virtio-net": "virtio-net-pci",
    "virtio-rng": "virtio-rng-pci", "virtio-scsi": "virtio-scsi-pci", "virtio-serial": "virtio-serial-pci",
    "virtio-tablet": "virtio-tablet-pci", "usb-uhci": "piix3-usb-uhci", "ich9-ahci": "ich9-ahci",
    "sdhci-pci": "sdhci-pci", "virtio-crypto": "virtio-crypto-pci", "ehci": "usb-ehci",
    "usb-mass": "usb-storage",
}  # fmt: skip
_NO = ("off", "no", "false", "n")


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def alias_of(registry: Registry, kind: str) -> str:
    """The model that a short name means."""
    found = ALIASES.get(kind, kind)
    if registry.arch == "s390x" and kind.startswith("virtio-") and found.endswith("-pci"):
        return found[:-4] + "-ccw"
    return found


def class_of(registry: Registry, kind: str, *, hotplugged: bool) -> str:
    """The device model behind a ``driver``.

    Raises:
        CommandError: there is none, it is abstract, or it cannot come this way.
    """
    profile = registry.machine.profile
    model = alias_of(registry, kind)
    # hw/s390x: the short names that are not in the table are ccw devices.
    if model not in device_names(registry):
        if model in abstract_names(registry):
            raise _error("Parameter 'driver' expects a non-abstract device type")
        raise _error(f"'{kind}' is not a valid device model name")
    del profile
    if hotplugged and model.endswith("-cpu") and registry.arch in ("aarch64", "riscv64"):
        raise _error("Parameter 'driver' expects a pluggable device type")
    refusal = (registry.facts.get("refusals none") or {}).get(model) or ["", ""]
    if hotplugged and "pluggable" in refusal[1]:
        raise _error("Parameter 'driver' expects a pluggable device type")
    return model


_names: dict[tuple[str, bool], frozenset[str]] = {}


def device_names(registry: Registry) -> frozenset[str]:
    """All device models of the program."""
    return _descendants(registry, abstract=False)


def abstract_names(registry: Registry) -> frozenset[str]:
    """All abstract device types of the program."""
    return _descendants(registry, abstract=True)


def _descendants(registry: Registry, *, abstract: bool) -> frozenset[str]:
    key = (registry.machine.profile.path, abstract)
    found = _names.get(key)
    if found is None:
        profile = registry.machine.profile
        concrete = {entry["name"] for entry in profile.value("qom-list-types") or ()}
        every = {
            entry["name"]: entry.get("parent")
            for entry in profile.value("qom-list-types", {"abstract": True}) or ()
        }
        device = {"device"}
        for name in every:
            line, at = [], name
            while at is not None and at not in device and at in every:
                line.append(at)
                at = every[at]
            if at in device:
                device.update(line)
        found = frozenset((device - concrete) if abstract else (device & concrete))
        _names[key] = found
    return found


def bus_type(registry: Registry, model: str) -> str | None:
    """The type of bus a model needs, as QEMU says when there is none."""
    key = (registry.facts.path or "", model)
    try:
        return _bus_types[key]
    except KeyError:
        found = _bus_type(registry, model)
        if len(_bus_types) < 1024:
            _bus_types[key] = found
        return found


#: What has been found out, by the file of facts and the model.
_bus_types: dict[tuple[str, str], str | None] = {}


def _bus_type(registry: Registry, model: str) -> str | None:
    text: str = ((registry.facts.get("refusals none") or {}).get(model) or ["", ""])[1]
    if text.startswith("No '"):
        return text[4:].partition("'")[0]
    there: str = ((registry.facts.get("refusals") or {}).get(model) or ["", ""])[1]
    if there.startswith("Bus 'main-system-bus'"):
        return "System"
    return None


def find_bus(registry: Registry, model: str, options: dict[str, Any], *, hotplugged: bool) -> Bus | None:
    """The bus for a device; None when it sits on none.

    Raises:
        CommandError: it is not there, of another type, or takes nobody now.
    """
    from fakeqemu.hardware.buses import fits, named, room_for

    wanted = bus_type(registry, model)
    if options.get("bus") is not None:
        bus = named(registry, str(options["bus"]))
        if wanted is None or not fits(bus.kind, wanted):
            raise _error(f"Device '{model}' can't go on {bus.kind} bus")
    elif wanted is not None:
        bus = room_for(registry, model, wanted)
    else:
        return None
    if hotplugged and not bus.hot:
        raise _error(f"Bus '{bus.name}' does not support hotplugging")
    return bus


def plug(registry: Registry, kind: str, options: dict[str, Any], *, hotplugged: bool) -> Object:
    """Make a device: see `Registry.plug`."""
    from fakeqemu.hardware import cpus
    from fakeqemu.hardware.checks import check_id

    machine = registry.machine
    given = {
        name: value
        for name, value in options.items()
        if type(value) not in (dict, list) and value is not None
    }
    model = class_of(registry, kind, hotplugged=hotplugged)
    bus = find_bus(registry, model, given, hotplugged=hotplugged)
    if machine.runstate in ("inmigrate", "finish-migrate", "postmigrate") and hotplugged:
        raise _error("device_add not allowed while migrating")
    cpu = cpus.is_cpu(registry, model)
    if hotplugged and bus is None and not cpu and model not in _BUSLESS:
        raise _error(f"Device '{model}' can not be hotplugged on this machine")
    ident = check_id(registry, given)
    own = {name: value for name, value in given.items() if name not in ("id", "bus", "driver")}
    thing = Object(registry, model, ident, registry.path_for(ident), own)
    thing.hotplugged = hotplugged
    try:
        _try(registry, thing, bus, cpu=cpu)
    except CommandError:
        registry.unname(thing.path)
        raise
    _enter(registry, thing)
    return thing


def _try(registry: Registry, thing: Object, bus: Bus | None, *, cpu: bool) -> None:
    """All checks from the properties on, and the place."""
    from fakeqemu.hardware import cpus
    from fakeqemu.hardware.checks import check_properties, check_wanted
    from fakeqemu.hardware.slots import give_place

    model = thing.kind
    check_properties(registry, thing)
    if cpu:
        thing.place = cpus.check_new(registry, model, thing.options)
    elif model in _BUSLESS or model.startswith(("virtio-mem", "virtio-pmem")):
        from fakeqemu.hardware.memory import check_device

        check_device(registry, thing)
    thing.room = bus
    if bus is not None:
        thing.place = give_place(thing, bus)
    if not cpu:
        check_wanted(registry, thing)
    if cpu:
        registry.cpus.append(thing)


#: Devices that sit on no bus and may come later.
_BUSLESS = ("pc-dimm", "nvdimm")


def _enter(registry: Registry, thing: Object) -> None:
    try:
        registry.enter(thing)
    except CommandError:
        heard, registry.on_unplug = registry.on_unplug, []
        registry.leave(thing)
        registry.on_unplug = heard
        if thing in registry.cpus:
            registry.cpus.remove(thing)
        raise


def cold_plug(registry: Registry, kind: str, ident: str | None, options: dict[str, Any]) -> Object:
    """A device of the command line: it was accepted when the machine started, so nothing is refused."""
    from fakeqemu.hardware import cpus
    from fakeqemu.hardware.slots import give_place

    model = alias_of(registry, kind)
    own = {name: value for name, value in options.items() if name not in ("id", "bus", "driver")}
    thing = Object(registry, model, ident, registry.path_for(ident), own)
    try:
        if model.endswith("-cpu") and cpus.is_cpu(registry, model):
            thing.place = cpus.check_new(registry, model, own)
            registry.cpus.append(thing)
        elif model in _BUSLESS or model.startswith(("virtio-mem", "virtio-pmem")):
            from fakeqemu.hardware.memory import check_device

            check_device(registry, thing)
        thing.room = find_bus(registry, model, options, hotplugged=False)
        if thing.room is not None:
            thing.place = give_place(thing, thing.room)
    except CommandError:
        # What the start did not refuse stands; only its place is not known.
        thing.place = None
    registry.enter(thing)
    return thing
