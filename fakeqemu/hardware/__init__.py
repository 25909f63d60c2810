"""The machine's insides: one registry of objects with ids and QOM paths, and the buses they sit on.

Knows QOM paths, device models, buses with their slots, CPUs, memory devices and user objects as QEMU 7.2
names, places and checks them. Must not know sockets, sessions or how a command is spelled: commands stand in
`fakeqemu.commands`, which come here for every device, CPU and object. Nothing of it is imported before a
manager asks.
"""

from __future__ import annotations

from fakeqemu.hardware.objects import Object
from fakeqemu.hardware.registry import Registry, registry_of

__all__ = ["Object", "Registry", "registry_of"]
