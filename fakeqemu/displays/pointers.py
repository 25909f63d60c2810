"""Mice, tablets and keyboards.

Knows the input handlers of ui/input.c of QEMU 7.2 and which device registers which. Must not know what is
typed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["handlers", "mice", "understood"]

#: Device -> (name, what it takes).
_DEVICES = {
    "usb-tablet": ("QEMU HID Tablet", ("btn", "abs")),
    "usb-mouse": ("QEMU HID Mouse", ("btn", "rel")),
    "usb-kbd": ("QEMU HID Keyboard", ("key",)),
    "virtio-tablet-pci": ("QEMU Virtio Tablet", ("btn", "abs")),
    "virtio-tablet-device": ("QEMU Virtio Tablet", ("btn", "abs")),
    "virtio-mouse-pci": ("QEMU Virtio Mouse", ("btn", "rel")),
    "virtio-mouse-device": ("QEMU Virtio Mouse", ("btn", "rel")),
    "virtio-keyboard-pci": ("QEMU Virtio Keyboard", ("key",)),
    "virtio-keyboard-device": ("QEMU Virtio Keyboard", ("key",)),
    "virtio-keyboard-ccw": ("QEMU Virtio Keyboard", ("key",)),
    "virtio-tablet-ccw": ("QEMU Virtio Tablet", ("btn", "abs")),
    "virtio-mouse-ccw": ("QEMU Virtio Mouse", ("btn", "rel")),
}
_PS2 = (("QEMU PS/2 Keyboard", ("key",)), ("QEMU PS/2 Mouse", ("btn", "rel")))
#: Character devices that are mice.
_CHARDEVS = {
    "msmouse": ("QEMU Microsoft Mouse", ("btn", "rel")),
    "wctablet": ("QEMU Wacom Pen Tablet", ("btn", "abs")),
}


def handlers(machine: FakeQemu) -> list[tuple[int, str, tuple[str, ...]]]:
    """The input handlers in the order of their numbers: (number, name, what it takes)."""
    chardevs = machine.line.chardevs.values()
    found: list[tuple[str, tuple[str, ...]]]
    found = [_CHARDEVS[chardev.backend] for chardev in chardevs if chardev.backend in _CHARDEVS]
    if machine.line.machine.startswith(("pc", "q35", "isapc")):
        found += _PS2
    registry = machine.parts.get("hardware")
    for device in registry.devices() if registry is not None else machine.line.devices:
        if device.kind in _DEVICES:
            found.append(_DEVICES[device.kind])
    return [(number, name, takes) for number, (name, takes) in enumerate(found, 1)]


def understood(machine: FakeQemu, kind: str) -> bool:
    """Whether any handler takes events of a kind: key, btn, rel, abs."""
    return any(kind in takes for _, _, takes in handlers(machine))


def mice(machine: FakeQemu) -> list[dict[str, Any]]:
    """The mice as ``query-mice`` has them: the one that the guest reads is current."""
    pointers = [entry for entry in handlers(machine) if "rel" in entry[2] or "abs" in entry[2]]
    up = machine.boot_done is not None and machine.boot_done <= machine.now_ns
    if up:  # a guest's drivers have woken those on buses, the last one of them last
        pointers = [entry for entry in reversed(pointers) if "PS/2" not in entry[1]] + [
            entry for entry in pointers if "PS/2" in entry[1]
        ]
    listed = [
        {"index": number, "name": name, "current": place == 0, "absolute": "abs" in takes}
        for place, (number, name, takes) in enumerate(pointers)
    ]
    return listed[::-1]
