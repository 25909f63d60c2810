"""What devices refer to and others keep: drives, character devices, network backends, sound, file systems.

Knows whom to ask. Must not know more about them than whether they are there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.hardware.registry import Registry
    from fakeqemu.machine import FakeQemu

__all__ = ["chardev_user", "has_audiodev", "has_chardev", "has_drive", "has_fsdev", "has_netdev"]


def has_drive(machine: FakeQemu, name: str) -> bool:
    """Whether there is a block node or a drive of that name."""
    from fakeqemu.block import graph_of

    graph = graph_of(machine)
    if name in graph.nodes or any(drive.id == name for drive in machine.line.drives):
        return True
    return any(getattr(backend, "name", None) == name for backend in graph.backends)


def has_chardev(machine: FakeQemu, name: str) -> bool:
    """Whether there is a character device of that id."""
    known = machine.parts.get("chardevs")
    return name in machine.line.chardevs if known is None else known.find(name) is not None


def chardev_user(registry: Registry, name: str) -> bool:
    """Whether a character device has somebody at its front: a device or a monitor."""
    machine = registry.machine
    if any(monitor.chardev == name for monitor in machine.line.monitors):
        return True
    if any(it.options.get("chardev") == name for it in registry.objects.values()):
        return True
    return any(it.options.get("chardev") == name for it in registry.devices())


def has_netdev(machine: FakeQemu, name: str) -> bool:
    """Whether there is a network backend of that id."""
    known = machine.parts.get("networks")
    return name in machine.line.netdevs if known is None else name in known.backends()


def has_audiodev(machine: FakeQemu, name: str) -> bool:
    """Whether there is an audio backend of that id."""
    return any(
        f"id={name}" in word.split(",") or f'"id":"{name}"' in word for word in _words(machine, "audiodev")
    )


def has_fsdev(machine: FakeQemu, name: str) -> bool:
    """Whether there is a shared directory of that id."""
    return any(f"id={name}" in word.split(",") for word in _words(machine, "fsdev"))


def _words(machine: FakeQemu, option: str) -> list[str]:
    argv = machine.argv
    names = (f"-{option}", f"--{option}")
    return [argv[place + 1] for place in range(len(argv) - 1) if argv[place] in names]
