"""Addresses on a bus: who sits where, who wants to, and what QEMU says when both are the same.

Knows hw/pci/pci.c, hw/usb/bus.c, hw/scsi/scsi-bus.c, hw/char/virtio-serial-bus.c and hw/s390x/css.c of QEMU
7.2. Must not know how a bus is found.
"""

from __future__ import annotations

from fakeqemu.hardware.buses import fits
from fakeqemu.hardware.objects import Object
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from fakeqemu.hardware.buses import Bus

    _Held: TypeAlias = dict[int, tuple[str, str | None, bool]]

__all__ = ["devfn_of", "give_place"]


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def give_place(thing: Object, bus: Bus) -> Any:
    """The place of a device on a bus: the one it asks for, or the first free one.

    Raises:
        CommandError: it is taken, or is none.
    """
    if fits(bus.kind, "PCI"):
        return _pci(thing, bus)
    if bus.kind == "usb-bus":
        return _usb(thing, bus)
    if bus.kind == "SCSI":
        return _scsi(thing, bus)
    if bus.kind == "virtio-serial-bus":
        return _port(thing, bus)
    if bus.kind == "virtual-css-bus":
        return _ccw(thing, bus)
    return len(bus.devices)


def number_of(thing: Object, name: str, default: int) -> int:
    """A whole number among a device's options; they have been checked."""
    value = thing.options.get(name, default)
    if isinstance(value, str):
        try:
            return int(value, 0)
        except ValueError:
            return default
    return int(value)


# -- PCI ----------------------------------------------------------------------------------------------------


def devfn_of(value: object) -> int | None:
    """``addr=``: slot and function in hexadecimal as one number; None when it is no address; -1 for any."""
    text = str(value)
    if text == "-1":
        return -1
    slot_text, dot, function_text = text.partition(".")
    try:
        slot, function = int(slot_text, 16), int(function_text, 16) if dot else 0
    except ValueError:
        return None
    if "_" in text or not 0 <= slot <= 31 or not 0 <= function <= 7:
        return None
    return slot << 3 | function


def _many(thing: Object) -> bool:
    return thing.options.get("multifunction") in (True, "on", "yes", "true", "y")


def _pci(thing: Object, bus: Bus) -> int:
    held: dict[int, tuple[str, str | None, bool]] = {
        place: (kind, ident, True) for place, (kind, ident) in bus.held.items()
    }
    held |= {it.place: (it.kind, it.id, _many(it)) for it in bus.devices}
    wanted = devfn_of(thing.options.get("addr", -1))
    if wanted is None or wanted == -1:
        least = 8 if bus.kind == "PCI" and bus.owner is not None else 0
        wanted = next((devfn for devfn in range(least, 256, 8) if devfn not in held), None)
        if wanted is None:
            raise _error(f"PCI: no slot/function available for {thing.kind}, all in use or reserved")
    _check_free(thing, bus, wanted, held)
    _check_functions(thing, wanted, held)
    return wanted


def _check_free(thing: Object, bus: Bus, wanted: int, held: _Held) -> None:
    slot, function = wanted >> 3, wanted & 7
    if wanted in held:
        kind, ident, _ = held[wanted]
        taken = f"in use by {kind},id={ident if ident is not None else '(null)'}"
        raise _error(f"PCI: slot {slot} function {function} not available for {thing.kind}, {taken}")
    if slot == 0 and bus.kind == "PCI" and bus.owner is not None and bus.owner.kind == "pci-bridge":
        raise _error(f"PCI: slot {slot} function {function} not available for {thing.kind}, reserved")


def _check_functions(thing: Object, wanted: int, held: _Held) -> None:
    """Several functions of a slot: the first must say that there are more, and come last."""
    slot, function = wanted >> 3, wanted & 7
    first = held.get(slot << 3)
    if thing.hotplugged and function and first is not None:
        text = f"function 0 already occupied by {first[0]}, new func {thing.kind} cannot be exposed to guest."
        raise _error(f"PCI: slot {slot} {text}")
    if function:
        if first is not None and not first[2]:
            raise _error(f"PCI: single function device can't be populated in function {slot:x}.{function:x}")
    elif not _many(thing):
        for other in range(1, 8):
            if slot << 3 | other in held:
                there = f"{slot:x}.{other:x} is already populated."
                raise _error(f"PCI: {slot:x}.0 indicates single function, but {there}")


# -- USB ----------------------------------------------------------------------------------------------------

#: Ports of a controller.
_PORTS = {
    "qemu-xhci": 4, "nec-usb-xhci": 4, "piix3-usb-uhci": 2, "piix4-usb-uhci": 2, "usb-ehci": 6,
    "ich9-usb-ehci1": 6, "ich9-usb-ehci2": 6, "pci-ohci": 3, "usb-hub": 8,
}  # fmt: skip


def _usb(thing: Object, bus: Bus) -> str:
    owner = bus.owner
    count = 2 if owner is None else _PORTS.get(owner.kind, 2)
    if owner is not None and "xhci" in owner.kind:
        count = min(15, max(number_of(owner, "p2", 4), number_of(owner, "p3", 4)))
    free = [str(index) for index in range(1, count + 1)]
    for device in bus.devices:
        if device.kind == "usb-hub":
            free += [f"{device.place}.{index}" for index in range(1, _PORTS["usb-hub"] + 1)]
    used = {device.place for device in bus.devices}
    wanted = thing.options.get("port")
    if wanted is not None and str(wanted) != "":
        if str(wanted) not in free or str(wanted) in used:
            raise _error(f"usb port {wanted} (bus {bus.name}) not found (in use?)")
        return str(wanted)
    places = [name for name in free if name not in used]
    place = places[0] if places else None
    if len(places) == 1 and thing.kind != "usb-hub":
        # usb_claim_port: QEMU puts a hub of its own into the last port.
        hub = Object(thing.registry, "usb-hub", None, f"/machine/unattached/{bus.name}-hub", {})
        hub.place = place
        bus.devices.append(hub)
        return f"{place}.1"
    if place is None:
        raise _error(f"tried to attach usb device {thing.kind} to a bus with no free ports")
    return place


# -- SCSI ---------------------------------------------------------------------------------------------------

#: Most (channel, target, lun) of a bus by its controller; others are like the last.
_SCSI_MOST = {
    "virtio-scsi-pci": (0, 255, 16383), "virtio-scsi-ccw": (0, 255, 16383), "spapr-vscsi": (7, 63, 31),
    "usb-storage": (0, 0, 0), "usb-bot": (0, 0, 15), "usb-uas": (0, 0, 255), "": (0, 7, 0),
    "megasas": (0, 128, 255), "pvscsi": (0, 63, 0), "mptsas1068": (0, 8, 1),
}  # fmt: skip


def _scsi(thing: Object, bus: Bus) -> tuple[int, int, int]:
    kind = bus.owner.kind if bus.owner is not None else ""
    if kind.startswith("virtio-scsi-pci"):
        kind = "virtio-scsi-pci"
    most = _SCSI_MOST.get(kind, _SCSI_MOST[""])
    any_ = (-1, 0xFFFFFFFF)
    channel, target, lun = (number_of(thing, name, -1) for name in ("channel", "scsi-id", "lun"))
    channel = 0 if channel in any_ else channel
    if channel > most[0]:
        raise _error(f"bad scsi channel id: {channel}")
    if target not in any_ and target > most[1]:
        raise _error(f"bad scsi device id: {target}")
    if lun not in any_ and lun > most[2]:
        raise _error(f"bad scsi device lun: {lun}")
    held = {it.place: it for it in bus.devices}
    if target in any_:
        lun = 0 if lun in any_ else lun
        found = next((number for number in range(most[1] + 1) if (channel, number, lun) not in held), None)
        if found is None:
            raise _error("no free target")
        target = found
    elif lun in any_:
        found = next((number for number in range(most[2] + 1) if (channel, target, number) not in held), None)
        if found is None:
            raise _error("no free lun")
        lun = found
    elif (channel, target, lun) in held:
        raise _error(f"lun already used by '{held[channel, target, lun].id or ''}'")
    return channel, target, lun


# -- virtio-serial ------------------------------------------------------------------------------------------


def _port(thing: Object, bus: Bus) -> int:
    most = number_of(bus.owner, "max_ports", 31) if bus.owner is not None else 31
    held = {it.place: it for it in bus.devices}
    wanted = thing.options.get("nr")
    number = number_of(thing, "nr", -1) if wanted is not None else -1
    console = thing.kind == "virtconsole"
    if number == 0 and not console:
        raise _error(
            "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward"
            " compatibility."
        )
    if number in (-1, 0xFFFFFFFF):
        number = next((it for it in range(0 if console else 1, most) if it not in held), -1)
        if number == -1:
            raise _error("virtio-serial-bus: Maximum port limit for this device reached")
    if number in held:
        raise _error(f"virtio-serial-bus: A port already exists at id {number}")
    name = thing.options.get("name")
    if name is not None and any(it.options.get("name") == name for it in bus.devices):
        raise _error(f"virtio-serial-bus: A port already exists by name {name}")
    if number >= most:
        raise _error(f"virtio-serial-bus: Out-of-range port id specified, max. allowed: {most - 1}")
    return number


# -- channel I/O --------------------------------------------------------------------------------------------


def _ccw(thing: Object, bus: Bus) -> str:
    held = {it.place for it in bus.devices}
    wanted = thing.options.get("devno")
    if wanted is not None:
        text = str(wanted).lower()
        css, _, rest = text.partition(".")
        ssid, _, number = rest.partition(".")
        place = f"{css}.{ssid}.{number.rjust(4, '0')}"
        if place in held:
            raise _error(f"Device {place} already exists")
        return place
    for number_ in range(0x10000):
        place = f"fe.0.{number_:04x}"
        if place not in held:
            return place
    raise _error("No free devno found in css fe")
